//! An agent that comes back: what it finds, keeps, replaces and tells.

use super::*;

#[tokio::test]
async fn a_returning_agent_takes_its_workers_and_its_port_over() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = Fixture::start_in(tmp.path(), World::default(), |_| {}).await;
    let before = agent.state(ClusterState::Ready).await;
    agent.kill_agent().await;
    // Meanwhile one worker dies.
    agent.world.die(WorkerId::tm(0), Exit::Signal(9));
    agent.world.asked();

    let mut agent = Fixture::start_in(tmp.path(), agent.world.clone(), |_| {}).await;
    agent.state(ClusterState::Degraded).await;
    let after = agent.state(ClusterState::Ready).await;
    assert_eq!(agent.world.asked(), ["ensure tm-0.2"]);
    assert_eq!(
        (port_of(&after), after.started_at, after.failovers),
        (port_of(&before), before.started_at, 0)
    );
    agent.stop(0, "stop").await;
    agent.ended().await;
}

#[tokio::test]
async fn an_agent_that_died_over_the_end_goes_on_ending() {
    let tmp = tempfile::tempdir().unwrap();
    let world = World::default();
    let mut agent = Fixture::start_in(tmp.path(), world.clone(), |_| {}).await;
    agent.state(ClusterState::Ready).await;
    world.be_stubborn();
    agent.stop(60_000, "stop").await;
    agent.state(ClusterState::Stopping).await;
    agent.kill_agent().await;
    let agent = Fixture::start_in(tmp.path(), world, |_| {}).await;
    agent.stop(0, "kill").await;
    assert_eq!(reason(&agent.ended().await.0), "killed by `kobel kill`");
}

#[tokio::test]
async fn without_a_record_found_workers_are_replaced_never_doubled() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = Fixture::start_in(tmp.path(), World::default(), |_| {}).await;
    agent.until("ready with every process known", is_quiet).await;
    agent.kill_agent().await;
    fs::write(agent.dir.record(), "{").unwrap();
    agent.world.forget_notes();
    let mut agent = Fixture::start_in(tmp.path(), agent.world.clone(), |_| {}).await;
    agent.state(ClusterState::Ready).await;
    assert_eq!(agent.world.live(), ["jm-0.2", "tm-0.2", "tm-1.2"]);
    agent.stop(0, "stop").await;
    agent.ended().await;
}

#[tokio::test]
async fn a_port_of_the_front_that_was_taken_meanwhile_is_given_up_and_that_is_told() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = Fixture::start_in(tmp.path(), World::default(), |_| {}).await;
    let former = port_of(&agent.until("ready with every process known", is_quiet).await);
    agent.kill_agent().await;
    let _thief = std::net::TcpListener::bind(("127.0.0.1", former)).unwrap();
    agent.world.asked();
    let pin = |plan: &mut ClusterPlan| plan.front.port = PortChoice::Pinned { from: former, to: former };
    let mut agent = Fixture::start_in(tmp.path(), agent.world.clone(), pin).await;
    let after = agent.state(ClusterState::Ready).await;
    assert_ne!(port_of(&after), former);
    assert_eq!(agent.world.asked(), [""; 0], "no worker is at fault");
    assert_eq!(call(port_of(&after), "GET /hello", "").await.body, "hello from Flink");
    let events = last_events(&fs::read_to_string(agent.dir.events()).unwrap(), 99);
    let told = events.iter().find(|event| event.kind == EventKind::FrontMoved).unwrap();
    let url = after.rest_url.unwrap();
    assert_eq!(
        told.message,
        format!("port {former} was taken by another process: the cluster's address is now {url}")
    );
    agent.stop(0, "stop").await;
    agent.ended().await;
}

/// Row 33 of the fault matrix.
#[tokio::test]
async fn without_a_record_the_workers_tell_the_ports_and_none_is_replaced() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = Fixture::start_in(tmp.path(), World::default(), |_| {}).await;
    agent.scale(ScaleRequest::TaskManagers(1)).await;
    let whole = |status: &Status| is_quiet(status) && status.task_managers.running == 3;
    let before = agent.until("ready with every process known", whole).await;
    let damages: [fn(&Path); 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, &fs::read(path).unwrap()[..99]).unwrap(),
        |path| fs::write(path, b"\0\xff no json").unwrap(),
        |path| fs::write(path, fs::read_to_string(path).unwrap().replace("kobel/v1", "kobel/v9")).unwrap(),
    ];
    for damage in damages {
        agent.kill_agent().await;
        agent.world.asked();
        damage(&agent.dir.record());
        agent = Fixture::start_in(tmp.path(), agent.world.clone(), |_| {}).await;
        let after = agent.until("ready with every process known", whole).await;
        assert_eq!(agent.world.asked(), [""; 0]);
        assert_eq!((port_of(&after), after.failovers), (port_of(&before), 0));
        assert!(after.started_at <= before.started_at, "it is not a new cluster");
        let record: Record = serde_json::from_slice(&fs::read(agent.dir.record()).unwrap()).unwrap();
        assert_eq!(record.attempts.len(), 4, "no attempt is asked for twice: {:?}", record.attempts);
    }
    agent.stop(0, "stop").await;
    agent.ended().await;
}

/// What a cluster left that was started under this name before is none of this one's.
#[tokio::test]
async fn workers_of_another_plan_are_replaced() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = Fixture::start_in(tmp.path(), World::default(), |_| {}).await;
    agent.until("ready with every process known", is_quiet).await;
    agent.kill_agent().await;
    fs::remove_file(agent.dir.record()).unwrap();
    fs::remove_file(agent.dir.plan()).unwrap();
    let mut agent = Fixture::start_in(tmp.path(), agent.world.clone(), |_| {}).await;
    agent.state(ClusterState::Ready).await;
    assert_eq!(agent.world.live(), ["jm-0.2", "tm-0.2", "tm-1.2"]);
    agent.stop(0, "stop").await;
    agent.ended().await;
}

#[tokio::test]
async fn masters_that_end_again_and_again_before_the_cluster_is_ready_end_it() {
    let tmp = tempfile::tempdir().unwrap();
    let on = |provider: ProviderKind| move |plan: &mut ClusterPlan| plan.provider = provider;
    let mut agent = Fixture::start_in(tmp.path(), World::default(), on(ProviderKind::Yarn)).await;
    let (world, dir) = (agent.world.clone(), agent.dir.clone());
    let read = || serde_json::from_slice::<Record>(&fs::read(dir.record()).unwrap()).unwrap();
    // As if so many agents had come since the cluster was ready.
    let came = |count: usize, ago: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(ago);
        let record = Record { starts: vec![at; count], ..read() };
        fs::write(dir.record(), serde_json::to_vec(&record).unwrap()).unwrap();
    };
    let survived = [(4, 1, ProviderKind::Yarn), (9, 11, ProviderKind::Yarn), (9, 1, ProviderKind::Local)];
    for (count, ago, provider) in survived {
        agent.until("ready with every process known", is_quiet).await;
        assert_eq!(read().starts, [], "ready");
        agent.kill_agent().await;
        came(count, ago);
        agent = Fixture::start_in(tmp.path(), world.clone(), on(provider)).await;
    }
    agent.until("ready with every process known", is_quiet).await;
    agent.kill_agent().await;
    came(5, 1);
    let failed = ends_at_once(tmp.path(), &world, on(ProviderKind::Yarn)).await;
    let expected = "5 masters in a row ended before the cluster was ready, within 10 minutes";
    assert_eq!((failed.state, reason(&failed)), (ClusterState::Failed, expected));
    assert_eq!(world.finished(), Some(Outcome::Failed));
}
