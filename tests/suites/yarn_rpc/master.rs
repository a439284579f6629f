//! The smallest ApplicationMaster: one container, in it a process, which ends with 3.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use kobel_hadoop_rpc::{
    Credentials, Protection, Retry, Token,
    token::kind,
    yarn::{
        Allocated, Ask, Completed, ContainerExit, ContainerId, FinalStatus, Granted, Launch, MasterError,
        NodeId, NodeManager, NodeStatus, Outbox, Place, Refusal, Registration, Resource, Scheduler, Signal,
    },
};

/// Names the scheduler's address to the master.
pub(crate) const SCHEDULER: &str = "KOBEL_TEST_SCHEDULER";
/// What the first master says at its end when all went well.
pub(crate) const RAN: &str = "the container exited with code 3";
/// What the second one says.
pub(crate) const OUTLIVED: &str = "registered again and got another container beside the first";

const PROMPT: Duration = Duration::from_secs(20);

#[tokio::test]
#[ignore = "YARN starts it, in a container"]
async fn runs_one_container() {
    let Some(mut master) = Master::registered().await else { return };
    master.is_refused_what_no_node_has().await;
    let granted = master.one_container("sleep 1; exit 3").await;
    master.node_tells_of(&granted).await;
    let completed = master.wait_for(granted.container.id).await;
    assert_eq!(completed.exit, ContainerExit::Code(3), "{completed:?}");
    master.finish(&format!("the container {}", completed.exit)).await;
}

#[tokio::test]
#[ignore = "YARN starts it, in a container"]
async fn outlives_a_resource_manager() {
    let Some(mut master) = Master::registered().await else { return };
    let first = master.one_container("sleep 300").await;
    master.beats_until_it_has_to_register_again().await;
    let second = master.one_container("sleep 300").await;
    assert_ne!(second.container.id, first.container.id);
    assert_eq!((first.container.id.epoch(), second.container.id.epoch()), (0, 1));
    let node = master.node(&first.container.node);
    let statuses = node.statuses(&[first.container.id]).await.unwrap();
    assert_eq!(statuses[&first.container.id], Ok(NodeStatus::Running));

    let stopped = node.stop(&[first.container.id, never(first.container.id)]).await.unwrap();
    assert_eq!(stopped[&first.container.id], Ok(()));
    assert_eq!(stopped[&never(first.container.id)], Err(Refusal::NotThere));
    assert_eq!(master.wait_for(first.container.id).await.exit, ContainerExit::StoppedByMaster);
    master.node(&second.container.node).signal(second.container.id, Signal::Terminate).await.unwrap();
    assert_eq!(master.wait_for(second.container.id).await.exit.signal(), Some(15));
    master.finish(OUTLIVED).await;
}

/// A container of the same attempt that never was.
fn never(id: ContainerId) -> ContainerId {
    ContainerId { id: 99, ..id }
}

struct Master {
    scheduler: Scheduler,
    outbox: Outbox,
    node_tokens: HashMap<NodeId, Token>,
    credentials: Credentials,
}

impl Master {
    /// A master with the token that YARN gave it; none outside of a container.
    async fn registered() -> Option<Master> {
        let address = std::env::var(SCHEDULER).ok()?;
        let file = PathBuf::from(std::env::var_os("HADOOP_TOKEN_FILE_LOCATION")?);
        let all = Credentials::read(&file).unwrap();
        let token = all.token_of_kind(kind::AM_RM).unwrap().clone();
        let mut scheduler = Scheduler::new(vec![address], token, Protection::default(), PROMPT).unwrap();
        let registered = scheduler.register(&Registration::default()).await.unwrap();
        assert!(registered.running.is_empty() && registered.largest.memory_mib > 0, "{registered:?}");
        let credentials = all.without_kind(kind::AM_RM);
        Some(Master { scheduler, outbox: Outbox::new(), node_tokens: HashMap::new(), credentials })
    }

    fn node(&self, node: &NodeId) -> NodeManager {
        NodeManager::new(node.clone(), self.node_tokens[node].clone(), Protection::default(), PROMPT).unwrap()
    }

    async fn finish(&mut self, said: &str) {
        while !self.scheduler.finish(FinalStatus::Succeeded, said, "").await.unwrap() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn beat(&mut self) -> Allocated {
        let beat = self.outbox.beat(0.5, None);
        let answer = self.scheduler.allocate(&beat).await.unwrap();
        self.outbox.answered(&answer);
        self.node_tokens.extend(answer.node_tokens.iter().cloned());
        answer
    }

    fn ask(&mut self, size: Resource, count: i32) {
        let place = Place::Any;
        self.outbox.ask(Ask { priority: 1, allocation_id: None, place, size, count, node_label: None });
    }

    /// A heartbeat that is refused changes nothing, and the next one works.
    async fn is_refused_what_no_node_has(&mut self) {
        self.ask(Resource::new(1 << 30, 1), 1);
        let refused = self.scheduler.allocate(&self.outbox.beat(0.0, None)).await.unwrap_err();
        assert!(refused.to_string().contains("refused"), "{refused}");
        assert_eq!(self.outbox.refused().len(), 1);
        self.beat().await;
    }

    async fn one_container(&mut self, command: &str) -> Granted {
        self.ask(Resource::new(256, 1), 1);
        let granted = loop {
            if let Some(granted) = self.beat().await.granted.pop() {
                break granted;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        assert_eq!(self.outbox.wanted(1, None), 0);
        let (id, credentials) = (granted.container.id, self.credentials.clone());
        let launch = Launch { commands: vec![command.into()], credentials, ..Default::default() };
        let started = self.node(&granted.container.node).start(&[(&granted, &launch)]).await.unwrap();
        assert_eq!(started[&id], Ok(()));
        granted
    }

    async fn node_tells_of(&self, granted: &Granted) {
        let (node, id) = (self.node(&granted.container.node), granted.container.id);
        let again = node.start(&[(granted, &Launch::default())]).await.unwrap();
        assert_eq!(again[&id], Err(Refusal::StartedBefore));
        let other = never(id);
        let statuses = node.statuses(&[id, other]).await.unwrap();
        assert!(matches!(statuses[&id], Ok(NodeStatus::Starting | NodeStatus::Running)), "{statuses:?}");
        assert_eq!(statuses[&other], Err(Refusal::NotThere));
    }

    async fn beats_until_it_has_to_register_again(&mut self) {
        loop {
            let beat = self.outbox.beat(0.5, None);
            match self.scheduler.allocate(&beat).await {
                Ok(answer) => self.outbox.answered(&answer),
                Err(MasterError::NotRegistered) => break,
                Err(error) => assert_ne!(error.retry(), Retry::Fenced, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let registered = self.scheduler.register(&Registration::default()).await.unwrap();
        self.node_tokens.extend(registered.node_tokens);
        self.outbox.start_over();
    }

    async fn wait_for(&mut self, id: ContainerId) -> Completed {
        loop {
            let answer = self.beat().await;
            if let Some(completed) = answer.completed.into_iter().find(|completed| completed.id == id) {
                return completed;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
