//! One cluster for all tests of a suite.

use std::{ops::Deref, sync::OnceLock, thread};

use super::{Cluster, Hadoop, Setup};

/// The suite's cluster, in the hands of one test. When the test fails, the cluster's directory is kept.
pub struct Shared {
    cluster: &'static Cluster,
}

/// The cluster that all tests of this process share, started by the first. `None` without Hadoop's jars.
/// It ends with the process.
pub fn shared(setup: fn() -> Setup) -> Option<Shared> {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let hadoop = Hadoop::from_env()?;
    let cluster = CLUSTER.get_or_init(|| Cluster::start(&hadoop, setup()));
    assert!(cluster.setup() == &setup(), "one suite shares one setup");
    Some(Shared { cluster })
}

impl Deref for Shared {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if thread::panicking() {
            self.cluster.keep_scene();
        }
    }
}
