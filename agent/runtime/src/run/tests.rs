//! The whole agent over a scripted provider: what it asks for, what it tells, how it ends.

mod job;
mod on_demand;
mod returning;

use std::time::Duration;

use kobel_plan::{ClusterState, EventKind, Exit, PortChoice, Status, WorkerId, api::ScaleRequest};
use kobel_provider::Outcome;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::UnixStream,
    task::JoinHandle,
};

use super::*;
use crate::{
    record::last_events,
    testing::{Job, World, call, call_unix, plan, soon},
};

struct Fixture {
    dir: ClusterDir,
    world: World,
    agent: JoinHandle<Result<(), AgentError>>,
    statuses: Lines<BufReader<UnixStream>>,
    _tmp: Option<tempfile::TempDir>,
}

impl Fixture {
    async fn start(world: World) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let mut fixture = Self::start_in(tmp.path(), world, |_| {}).await;
        fixture._tmp = Some(tmp);
        fixture
    }

    async fn start_in(path: &Path, world: World, change: impl FnOnce(&mut ClusterPlan)) -> Self {
        let dir = ClusterDir::new(path);
        let mut plan = plan(path);
        change(&mut plan);
        fs::create_dir_all(&plan.log_dir).unwrap();
        if !dir.plan().exists() {
            fs::write(dir.plan(), serde_json::to_vec(&plan).unwrap()).unwrap();
        }
        let agent = tokio::spawn(govern(plan, dir.clone(), Arc::new(world.clone()), Extras::default()));
        let mut socket = soon("the socket", async {
            loop {
                match UnixStream::connect(dir.socket()).await {
                    Ok(socket) => return socket,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await;
        let request = b"GET /kobel/v1/status?watch=true HTTP/1.0\r\nHost: localhost\r\n\r\n";
        socket.write_all(request).await.unwrap();
        Self { dir, world, agent, statuses: BufReader::new(socket).lines(), _tmp: None }
    }

    /// The first status from here on for which this holds.
    async fn until(&mut self, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        let mut last = String::new();
        let wait = async {
            while let Some(line) = self.statuses.next_line().await.unwrap() {
                match serde_json::from_str::<Status>(&line) {
                    Ok(status) if holds(&status) => return Some(status),
                    Ok(_) => last = line,
                    Err(_) => {}
                }
            }
            None
        };
        let found = tokio::time::timeout(Duration::from_secs(20), wait).await;
        found.ok().flatten().unwrap_or_else(|| panic!("{what}: not before {last}"))
    }

    async fn state(&mut self, state: ClusterState) -> Status {
        self.until(&state.to_string(), |status| status.state == state).await
    }

    async fn post(&self, path: &str, body: &str) -> u16 {
        call_unix(&self.dir.socket(), &format!("POST {path}"), body).await.status
    }

    async fn stop(&self, grace_ms: u64, by: &str) {
        let body = format!(r#"{{"graceMs":{grace_ms},"by":"{by}"}}"#);
        assert_eq!(self.post("/kobel/v1/stop", &body).await, 202);
    }

    async fn scale(&self, request: ScaleRequest) {
        let body = serde_json::to_string(&request).unwrap();
        assert_eq!(self.post("/kobel/v1/scale", &body).await, 200, "{body}");
    }

    /// Waits for the agent to end and reads what it left: its status is the last one told.
    async fn ended(mut self) -> (Status, World) {
        let told = self.until("a terminal state", |status| status.state.is_terminal()).await;
        soon("the agent's end", &mut self.agent).await.unwrap().unwrap();
        let record: Record = serde_json::from_slice(&fs::read(self.dir.record()).unwrap()).unwrap();
        assert_eq!(record.status, told);
        assert!(!self.dir.socket().exists());
        assert!(self.world.live().is_empty());
        (told, self.world)
    }

    /// The agent dies without a word.
    async fn kill_agent(&mut self) {
        self.agent.abort();
        let _ = soon("the agent's death", &mut self.agent).await;
    }
}

/// The last status of an agent that finds nothing to do but to end: it may be gone before anybody gets to its socket.
async fn ends_at_once(path: &Path, world: &World, change: impl FnOnce(&mut ClusterPlan)) -> Status {
    let dir = ClusterDir::new(path);
    let mut plan = plan(path);
    change(&mut plan);
    let agent = govern(plan, dir.clone(), Arc::new(world.clone()), Extras::default());
    Box::pin(soon("the agent's end", agent)).await.unwrap();
    assert!(!dir.socket().exists());
    assert!(world.live().is_empty());
    serde_json::from_slice::<Record>(&fs::read(dir.record()).unwrap()).unwrap().status
}

fn port_of(status: &Status) -> u16 {
    status.rest_url.as_ref().unwrap().rsplit(':').next().unwrap().parse().unwrap()
}

/// Nothing changes any more, so no write of the record is under way.
fn is_quiet(status: &Status) -> bool {
    let known =
        status.masters.len() == 1 && status.task_managers.list.len() == status.task_managers.running as usize;
    status.state == ClusterState::Ready && known
}

fn reason(status: &Status) -> &str {
    status.reason.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn a_cluster_starts_side_by_side_serves_and_stops() {
    let mut agent = Fixture::start(World::default()).await;
    let ready = agent.state(ClusterState::Ready).await;
    assert_eq!(agent.world.asked(), ["ensure jm-0.1", "ensure tm-0.1", "ensure tm-1.1"]);
    assert!(ready.masters[0].leader);
    assert_eq!((ready.task_managers.running, ready.slots.total, ready.jobs.running), (2, 4, 1));
    let port = port_of(&ready);
    assert_eq!(call(port, "GET /hello", "").await.body, "hello from Flink");

    agent.stop(3000, "stop").await;
    let stopping = agent.state(ClusterState::Stopping).await;
    assert_eq!(reason(&stopping), "stopped by `kobel stop`");
    let dir = agent.dir.clone();
    let _keep = agent._tmp.take();
    let (stopped, world) = agent.ended().await;
    assert_eq!((stopped.state, stopped.rest_url, stopped.agent), (ClusterState::Stopped, None, None));
    assert!(world.asked().iter().all(|asked| asked.ends_with(" 3s")));
    assert_eq!(world.finished(), Some(Outcome::Succeeded));
    std::net::TcpListener::bind(("127.0.0.1", port)).expect("the front's port is free again");
    let events = last_events(&fs::read_to_string(dir.events()).unwrap(), 99);
    let told: Vec<_> = events.iter().map(|event| event.message.as_str()).collect();
    for message in ["jm-0.1 starts", "tm-1.1 runs", "Ready", "stopped by `kobel stop`", "tm-0.1 released"] {
        assert!(told.contains(&message), "{message}: {told:?}");
    }
}

#[tokio::test]
async fn lost_workers_come_back_and_only_a_new_leader_is_a_failover() {
    let mut agent = Fixture::start(World::default()).await;
    agent.state(ClusterState::Ready).await;
    agent.world.die(WorkerId::tm(1), Exit::Signal(9));
    // The JobManager's answer may be here before the provider's event.
    let named = "1 of 2 TaskManagers registered; tm-1.1 killed by signal 9";
    let degraded = agent.until(named, |status| reason(status) == named).await;
    assert_eq!(degraded.state, ClusterState::Degraded);
    assert_eq!(agent.state(ClusterState::Ready).await.failovers, 0);
    agent.world.die(WorkerId::jm(0), Exit::Signal(9));
    let named = "jm-0.1 killed by signal 9";
    agent.until(named, |status| reason(status) == named).await;
    assert_eq!(agent.state(ClusterState::Ready).await.failovers, 1);
    assert_eq!(agent.world.live(), ["jm-0.2", "tm-0.1", "tm-1.2"]);
    agent.stop(0, "kill").await;
    let (stopped, world) = agent.ended().await;
    assert_eq!((reason(&stopped), world.finished()), ("killed by `kobel kill`", Some(Outcome::Killed)));
}

#[tokio::test]
async fn a_start_that_cannot_work_fails_soon_and_says_why() {
    let tmp = tempfile::tempdir().unwrap();
    let world = World::default();
    world.doom(WorkerId::jm(0), Exit::Code(1));
    fs::create_dir(tmp.path().join("log")).unwrap();
    fs::write(tmp.path().join("log/jm-0.2.err"), "Unrecognized option: -Xfoo\n").unwrap();
    let agent = Fixture::start_in(tmp.path(), world, |_| {}).await;
    let (failed, world) = agent.ended().await;
    assert_eq!(failed.state, ClusterState::Failed);
    let expected = "jm-0.2 exited with code 1, 2 failures in a row: Unrecognized option: -Xfoo (jm-0.2.err)";
    assert_eq!(reason(&failed), expected);
    assert_eq!(world.finished(), Some(Outcome::Failed));
}

#[tokio::test]
async fn a_jobmanager_that_ends_by_itself_ends_the_cluster() {
    let mut agent = Fixture::start(World::default()).await;
    agent.state(ClusterState::Ready).await;
    agent.world.die(WorkerId::jm(0), Exit::Code(0));
    let (stopped, _) = agent.ended().await;
    assert_eq!((stopped.state, reason(&stopped)), (ClusterState::Stopped, "the JobManager ended by itself"));
}

#[tokio::test]
async fn scaling_adds_and_takes_and_ends_at_nothing() {
    let mut agent = Fixture::start(World::default()).await;
    agent.state(ClusterState::Ready).await;
    agent.scale(ScaleRequest::TaskManagers(1)).await;
    agent.until("3 TaskManagers", |status| status.task_managers.running == 3).await;
    agent.scale(ScaleRequest::To(Wanted { job_managers: 1, task_managers: 1 })).await;
    agent.until("1 TaskManager", |status| status.task_managers.list.len() == 1).await;
    assert_eq!(agent.world.live(), ["jm-0.1", "tm-0.1"]);
    assert_eq!(agent.post("/kobel/v1/scale", r#"{"job-managers":1}"#).await, 409);
    agent.scale(ScaleRequest::JobManagers(-1)).await;
    let degraded = agent.state(ClusterState::Degraded).await;
    assert_eq!(reason(&degraded), "no JobManager is wanted");
    assert_eq!(call(port_of(&degraded), "GET /overview", "").await.status, 503);
    agent.scale(ScaleRequest::JobManagers(1)).await;
    assert_eq!(agent.state(ClusterState::Ready).await.failovers, 0, "nobody was replaced");
    agent.scale(ScaleRequest::To(Wanted { job_managers: 0, task_managers: 0 })).await;
    assert_eq!(reason(&agent.ended().await.0), "scaled to nothing");
}

#[tokio::test]
async fn a_worker_is_replaced_on_request_and_no_failure_is_counted() {
    let mut agent = Fixture::start(World::default()).await;
    agent.state(ClusterState::Ready).await;
    // More often than a crash loop has failures.
    for round in 2..9 {
        assert_eq!(agent.post("/kobel/v1/restart", r#"{"worker":"tm-1"}"#).await, 202);
        let name = format!("tm-1.{round}");
        agent
            .until("the next one", |s| s.state == ClusterState::Ready && s.task_managers.list.len() == 2)
            .await;
        soon("the next attempt", async {
            while !agent.world.live().contains(&name) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    assert_eq!(agent.post("/kobel/v1/restart", r#"{"worker":"jm-0"}"#).await, 202);
    let gone = agent.state(ClusterState::Degraded).await;
    assert!(gone.reason.is_some());
    assert_eq!(agent.state(ClusterState::Ready).await.failovers, 0, "nobody failed");
    assert_eq!(agent.world.live(), ["jm-0.2", "tm-0.1", "tm-1.8"], "the TaskManagers stay");
    assert_eq!(agent.post("/kobel/v1/restart", r#"{"worker":"tm-2"}"#).await, 404);
    // Workers that take their time keep the ending cluster there to be asked.
    agent.world.be_stubborn();
    agent.stop(60_000, "stop").await;
    assert_eq!(agent.post("/kobel/v1/restart", r#"{"worker":"tm-0"}"#).await / 100, 4);
    agent.stop(0, "kill").await;
    agent.ended().await;
}

#[tokio::test]
async fn drills_are_no_crash_loop_and_without_high_availability_spare_the_job_manager() {
    let mut agent = Fixture::start(World::default()).await;
    agent.state(ClusterState::Ready).await;
    for round in 2..9 {
        assert_eq!(agent.post("/kobel/v1/drill", r#"{"worker":"tm-0","fault":"kill"}"#).await, 200);
        let name = format!("tm-0.{round}");
        soon("the next attempt", async {
            while !agent.world.live().contains(&name) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    assert_eq!(agent.post("/kobel/v1/drill", r#"{"worker":"tm-9","fault":"kill"}"#).await, 404);
    assert_eq!(agent.post("/kobel/v1/drill", r#"{"worker":"jm-0","fault":"kill"}"#).await, 409);
    let asked = agent.world.asked().join(", ");
    assert!(asked.contains("strike tm-0.1 Kill") && !asked.contains("strike jm"), "{asked}");
    agent.stop(0, "kill").await;
    agent.ended().await;
}

#[tokio::test]
async fn a_stubborn_worker_is_killed_when_somebody_loses_patience() {
    let mut agent = Fixture::start(World::default()).await;
    agent.state(ClusterState::Ready).await;
    agent.world.be_stubborn();
    agent.stop(60_000, "stop").await;
    agent.state(ClusterState::Stopping).await;
    assert_eq!(agent.post("/kobel/v1/scale", r#"{"task-managers":1}"#).await, 409);
    agent.stop(0, "kill").await;
    assert_eq!(reason(&agent.ended().await.0), "killed by `kobel kill`");
}

#[tokio::test]
async fn a_port_taken_while_the_jobmanager_is_down_is_given_up_with_the_workers_that_know_it() {
    let mut agent = Fixture::start(World::default()).await;
    agent.state(ClusterState::Ready).await;
    let record: Record = serde_json::from_slice(&fs::read(agent.dir.record()).unwrap()).unwrap();
    let rpc = record.ports[&WorkerId::jm(0)].rpc;
    let _thief = std::net::TcpListener::bind(("127.0.0.1", rpc)).unwrap();
    agent.world.die(WorkerId::jm(0), Exit::Code(1));
    agent.state(ClusterState::Degraded).await;
    agent.state(ClusterState::Ready).await;
    assert_eq!(agent.world.live(), ["jm-0.2", "tm-0.2", "tm-1.2"]);
    agent.stop(0, "stop").await;
    agent.ended().await;
}

#[tokio::test]
async fn a_plan_that_cannot_be_carried_out_starts_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    type Spoil = fn(&mut ClusterPlan);
    let cases: [(Spoil, &str); 3] = [
        (|plan| plan.wanted.job_managers = 2, "need high availability"),
        (|plan| plan.task_manager.process_bytes = 1 << 50, "a TaskManager of 1073741824m is larger"),
        (|plan| plan.front.bind = "no such host".into(), "could not resolve"),
    ];
    for (change, expected) in cases {
        let mut plan = plan(tmp.path());
        change(&mut plan);
        let world = World::default();
        let error = govern(plan, ClusterDir::new(tmp.path()), Arc::new(world.clone()), Extras::default())
            .await
            .unwrap_err();
        assert!(chain(&error).contains(expected), "{}", chain(&error));
        assert_eq!((world.asked(), ClusterDir::new(tmp.path()).record().exists()), (vec![], false));
    }
}

#[test]
fn an_agent_without_the_lock_is_refused() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = ClusterDir::new(tmp.path());
    fs::write(dir.lock(), "").unwrap();
    assert!(matches!(hold_lock(&dir), Err(AgentError::NotLocked { .. })));
}
