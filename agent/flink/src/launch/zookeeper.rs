//! The cluster's own ZooKeeper: the one in Flink's distribution, on loopback.

use kobel_plan::{
    Attempt, ClusterPlan, Launch, Resources, RolePlan, WorkerFile, WorkerId, WorkerSpec, ZooKeeper,
};

use super::{LaunchError, Peers, Worker, conf::tmp_dir, env, jvm, text};

/// Its heap holds what a handful of JobManagers write: some kilobytes.
const JVM: [&str; 3] = ["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// What the process was seen to take, twice over.
const MEMORY: u64 = 256 << 20;
/// Flink's own start of it (`flink-console.sh zookeeper`).
const MAIN: &str = "org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer";
/// Its configuration, below its directory.
const CONF: &str = "conf/zoo.cfg";

/// What a provider runs for it.
pub(super) fn spec(
    plan: &ClusterPlan,
    peers: &Peers,
    id: WorkerId,
    attempt: Attempt,
    marker: &str,
) -> Result<WorkerSpec, LaunchError> {
    let role = RolePlan { process_bytes: MEMORY, ..RolePlan::default() };
    let worker = Worker { plan, role: &role, id, attempt };
    let embedded = plan.ha.as_ref().map(|ha| &ha.zookeeper);
    let (Some(ZooKeeper::Embedded(data)), Some(port)) = (embedded, peers.zookeeper) else {
        return Err(LaunchError::Unplanned { worker: worker.name() });
    };
    let mut args = vec![format!("-Djava.io.tmpdir={}", tmp_dir())];
    args.extend(JVM.map(String::from));
    args.extend(jvm::logging(&worker)?);
    args.extend(["-classpath".into(), jvm::class_path(plan)?, MAIN.into()]);
    args.extend(["--zkConfigFile".into(), format!("{}/{CONF}", Launch::WORKER_DIR)]);
    args.extend(["--peerId", "1"].map(String::from));
    Ok(WorkerSpec {
        id,
        attempt,
        resources: Resources { memory_bytes: MEMORY, vcores: 1 },
        launch: Launch { program: jvm::program(plan)?, args, env: env::of_worker(&worker, marker)? },
        files: vec![WorkerFile { path: CONF.into(), contents: configuration(text(data)?, port) }],
        deputy: None,
    })
}

/// `zoo.cfg`. Sessions may be as short as two ticks, and end at whole ones. Connections of one address are not
/// counted: all of them are this cluster's. Snapshots that are not needed any more go.
fn configuration(data: &str, port: u16) -> String {
    // A Java properties file: a backslash would begin an escape.
    let data = data.replace('\\', "\\\\");
    format!(
        "tickTime=1000\ndataDir={data}\nclientPort={port}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n\
         admin.enableServer=false\nautopurge.snapRetainCount=3\nautopurge.purgeInterval=1\n\
         4lw.commands.whitelist=srvr\n"
    )
}
