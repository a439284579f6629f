//! What several of the suites in `suites/` need; they are this package's tests.

mod endless;
mod history;

pub use endless::{Endless, SOON, submit_endless};
pub use history::{History, Reign};
use kobel_hadoop_rpc::yarn::{ApplicationId, Launch, LogCollection, Master, Resource, Submission};

/// An application of one container, which runs this command in the default queue, and once.
pub fn submission(id: ApplicationId, name: &str, memory_mib: i64, command: &str) -> Submission {
    Submission {
        id,
        name: name.into(),
        kind: "KOBEL".into(),
        queue: Some("default".into()),
        priority: None,
        max_attempts: Some(1),
        failures_validity_ms: None,
        keep_containers: false,
        tags: Vec::new(),
        node_label: None,
        size: Resource::new(memory_mib, 1),
        logs: LogCollection::default(),
        master: Master::Launched(Launch { commands: vec![command.into()], ..Launch::default() }),
    }
}
