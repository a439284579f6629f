//! Flink's high availability in a real ZooKeeper: whose the znodes are, who leads, and that nothing of a living
//! JobManager's is ever removed.

mod client;
mod holder;
mod job_managers;
mod safety;

use std::{future::Future, sync::OnceLock, time::Duration};

use kobel_flink::ha::{Access, ClusterRoot, HaClient, Quorum};
use kobel_kit::hadoop::Setup;
use tokio::runtime::Runtime;

/// Bounds each call: nothing here may come near it.
const DEADLINE: Duration = Duration::from_secs(10);
/// What ZooKeeper keeps our own sessions for.
const SESSION: Duration = Duration::from_secs(20);

fn setup() -> Setup {
    Setup::hdfs().zookeeper()
}

/// Sessions are kept alive between the calls, so they need threads that run all the time.
fn wait_for<T>(call: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime")).block_on(call)
}

fn quorum(address: &str) -> Quorum {
    Quorum::parse(address).expect("an address")
}

fn connect(address: &str) -> HaClient {
    wait_for(HaClient::connect(&quorum(address), &Access::default(), SESSION, DEADLINE)).expect("a session")
}

fn root(address: &str, cluster: &str) -> ClusterRoot {
    ClusterRoot::new(&quorum(address), "/flink", cluster).expect("a path")
}
