//! Two real JobManagers: the log of their sessions tells the truth under a user's logging configuration that
//! drops it, and when the leader is killed the other one leads at once.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kobel_flink::{
    ha::{
        Access, ClusterRoot, Death, Evidence, Fenced, HaClient, Latches, LeaderNode, LeaderView, LeaderWatch,
        SessionId, SessionLog, Sessions,
    },
    own_log,
};
use kobel_kit::{Flink, Lab, Running, hadoop, http, on_each_flink, wait};

use super::{DEADLINE, SESSION, connect, quorum, root, setup, wait_for};

const PATIENCE: Duration = Duration::from_secs(120);

/// What a user has who wants no more than warnings, whatever ZooKeeper's client or anybody else says.
const USERS_LOG4J: &str = "\
monitorInterval = 1
rootLogger.level = WARN
rootLogger.appenderRef.file.ref = MainAppender
logger.shaded_zookeeper.name = org.apache.flink.shaded.zookeeper3
logger.shaded_zookeeper.level = OFF
appender.main.name = MainAppender
appender.main.type = RollingFile
appender.main.fileName = ${sys:log.file}
appender.main.filePattern = ${sys:log.file}.%i
appender.main.layout.type = PatternLayout
appender.main.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
appender.main.policies.type = Policies
appender.main.policies.size.type = SizeBasedTriggeringPolicy
appender.main.policies.size.size = 100MB
";

struct JobManager {
    process: Running,
    sessions: PathBuf,
    main_log: PathBuf,
    rest: String,
}

impl JobManager {
    fn start(lab: &Lab, flink: &Flink, name: &str, server: &str) -> JobManager {
        let port = free_port();
        let conf = format!(
            "high-availability.type: zookeeper\nhigh-availability.zookeeper.quorum: {server}\n\
             high-availability.cluster-id: {}\nhigh-availability.storageDir: file://{}\n\
             high-availability.zookeeper.client.session-timeout: 60 s\n\
             jobmanager.rpc.address: 127.0.0.1\nrest.address: 127.0.0.1\nrest.bind-address: 127.0.0.1\n\
             rest.port: {port}\nrest.bind-port: {port}\nio.tmp.dirs: {}\n",
            cluster_id(flink),
            lab.path("ha").display(),
            lab.path("tmp").display(),
        );
        lab.file(&format!("{name}/conf/config.yaml"), &conf);
        fs::create_dir_all(lab.path("tmp")).unwrap();
        // A comma and a space, as a user's directory may have.
        let users = lab.file("conf, of a user/log4j.properties", USERS_LOG4J);
        let own = lab.file(&format!("{name}/sessions.properties"), &own_log::SESSIONS.configuration());
        let url = |path: &Path| format!("file://{}", path.display()).replace(' ', "%20");
        let (sessions, main_log) = (lab.path(name).join("sessions.log"), lab.path(name).join("main.log"));
        let args = [
            "-Xmx384m".into(),
            "-XX:TieredStopAtLevel=1".into(),
            "--add-opens=java.base/java.lang=ALL-UNNAMED".into(),
            "--add-opens=java.base/java.util=ALL-UNNAMED".into(),
            format!("-Dlog.file={}", main_log.display()),
            format!("-Dlog4j.configurationFile={}", own_log::composite(&url(&users), &[url(&own)])),
            format!("-D{}={}", own_log::SESSIONS.property, sessions.display()),
            "-cp".into(),
            format!("{}/lib/*", flink.home.display()),
            "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint".into(),
            "--configDir".into(),
            lab.path(name).join("conf").display().to_string(),
            "--executionMode".into(),
            "cluster".into(),
        ];
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let process = lab.spawn(Path::new("java"), &args);
        JobManager { process, sessions, main_log, rest: format!("http://127.0.0.1:{port}") }
    }

    fn log(&self) -> SessionLog {
        SessionLog::read(&self.sessions).unwrap().unwrap_or_default()
    }

    fn evidence(&self, death: Death, alive: &JobManager) -> Evidence {
        let sessions = Sessions::Logged(self.log().sessions());
        Evidence { death, sessions, rest_address: self.rest.clone(), alive: alive.log().sessions() }
    }
}

fn cluster_id(flink: &Flink) -> String {
    format!("jms-{}", flink.version)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn owners(client: &HaClient, root: &ClusterRoot) -> Vec<SessionId> {
    match wait_for(client.latches(root)).unwrap() {
        Latches::Present { latches, foreign: None } => {
            latches.iter().filter_map(|latch| latch.owner).collect()
        }
        _ => Vec::new(),
    }
}

/// Waits until the watch tells of a leader, and gives its address and session.
fn next_leader(watch: &mut LeaderWatch) -> (String, SessionId) {
    let next = async {
        loop {
            match watch.next().await.expect("it goes on") {
                LeaderView::Seen(LeaderNode::Known { znode, info }) => {
                    return (info.address, znode.owner.expect("ephemeral"));
                }
                LeaderView::Unknown(error) => println!("unknown: {error:?}"),
                LeaderView::Seen(_) => {}
            }
        }
    };
    wait_for(async { tokio::time::timeout(PATIENCE, next).await }).expect("a leader in time")
}

on_each_flink! {
    fn when_the_leader_is_killed_the_standby_leads_at_once(flink: Flink) {
        let Some(cluster) = hadoop::shared(setup) else { return };
        let server = cluster.zookeeper().address.as_str();
        let lab = Lab::with_flink("two-job-managers", &flink);
        let (client, root) = (connect(server), root(server, &cluster_id(&flink)));
        let mut watch = wait_for(async {
            LeaderWatch::start(quorum(server), Access::default(), root.clone(), SESSION, DEADLINE)
        });
        let both = ["jm-0", "jm-1"].map(|name| JobManager::start(&lab, &flink, name, server));
        wait::until("both stand", PATIENCE, || {
            let (owners, logged) = (owners(&client, &root), both.each_ref().map(|jm| jm.log().newest()));
            let stand = owners.len() == 2 && logged.iter().flatten().filter(|id| owners.contains(id)).count() == 2;
            if stand { Ok(()) } else { Err(format!("{owners:?}, logged {logged:?}")) }
        });
        logging_is_as_the_user_wants_it(&both[0]);
        assert_eq!(both[0].log().granted(), Some(Duration::from_secs(40)), "20 ticks, not the 60 s asked for");

        let (address, session) = next_leader(&mut watch);
        let [first, second] = both;
        let (leader, standby) = if first.rest == address { (first, second) } else { (second, first) };
        assert_eq!((leader.rest.as_str(), leader.log().newest()), (address.as_str(), Some(session)));

        // It publishes one address after the other, and answers when all are there.
        serves(&leader);
        leader.process.signal("STOP");
        let frozen = wait_for(client.fence(&root, &leader.evidence(Death::Unproven, &standby))).unwrap();
        assert!(matches!(frozen, Fenced::Refused(_)), "{frozen:?}");
        leader.process.signal("CONT");

        let killed = Instant::now();
        leader.process.signal("KILL");
        let evidence = leader.evidence(Death::Reaped, &standby);
        leader.process.wait();
        let fenced = wait_for(client.fence(&root, &evidence)).unwrap();
        let fenced_after = killed.elapsed();
        let Fenced::Done(fence) = fenced else { panic!("{fenced:?}") };
        let removed = fence.paths();
        assert!(removed[0].contains("-latch-") && removed.len() >= 4, "{removed:?}");
        let (address, session) = next_leader(&mut watch);
        let leads_after = killed.elapsed();
        assert_eq!((address, Some(session)), (standby.rest.clone(), standby.log().newest()));
        serves(&standby);
        println!(
            "Flink {}: after kill -9 fenced in {:.0} ms ({} znodes), the standby leads after {:.0} ms and serves after {:.0} ms",
            flink.version,
            fenced_after.as_secs_f32() * 1000.0,
            removed.len(),
            leads_after.as_secs_f32() * 1000.0,
            killed.elapsed().as_secs_f32() * 1000.0,
        );
        assert!(leads_after < Duration::from_secs(5), "{leads_after:?}");
        assert_eq!(wait_for(client.release_locks(&root, &fence)).unwrap(), [""; 0], "no job, no locks");
        assert_eq!(owners(&client, &root), [session]);
        standby.process.signal("TERM");
        standby.process.wait();
        lab.no_process_left();
    }
}

/// Waits until it answers as a leader does.
fn serves(jm: &JobManager) {
    wait::until("the leader serves", PATIENCE, || match http::get(&format!("{}/jobs/overview", jm.rest)) {
        Ok(reply) if reply.status == 200 => Ok(()),
        reply => Err(format!("{reply:?}")),
    });
}

/// The main log has what the user wants, the sessions' file nothing but sessions and no reader but its owner.
fn logging_is_as_the_user_wants_it(jm: &JobManager) {
    use std::os::unix::fs::PermissionsExt;
    let main = fs::read_to_string(&jm.main_log).unwrap();
    let others = main.lines().filter(|line| line.contains(" INFO ") && !line.contains("ClientCnxn"));
    assert_eq!(others.collect::<Vec<_>>(), [""; 0]);
    let sessions = fs::read_to_string(&jm.sessions).unwrap();
    assert!(
        sessions.lines().all(|line| line.contains("Session establishment complete on server")),
        "{sessions}"
    );
    assert_eq!(fs::metadata(&jm.sessions).unwrap().permissions().mode() & 0o777, 0o600);
    println!("{} lines of ZooKeeper's client in the user's own log", main.matches("ClientCnxn").count());
}
