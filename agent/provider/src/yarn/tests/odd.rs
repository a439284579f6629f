//! Answers of the ResourceManager that nobody would expect.

use kobel_hadoop_rpc::{proto::yarn as pb, yarn::NodeId};

use super::{
    peers::{container, failure, id},
    *,
};

const PATIENT: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_container_that_nobody_asked_for_goes_back_once() {
    let world = World::new().await;
    world.with(|state| state.unasked = vec![container(77, 9, &nowhere()), container(78, 1, &nowhere())]);
    let provider = world.open(PATIENT).await;
    until("they are given back", || world.with(|state| state.released == [77, 78])).await;
    provider.ensure(spec(0)).await.unwrap();
    assert!(matches!(next(&mut provider.watch(), &spec(0)).await, Phase::Running { .. }));
    assert_eq!(world.with(|state| (state.released.len(), state.count("startContainers"))), (2, 1));
}

fn nowhere() -> NodeId {
    "nowhere.example.org:8041".parse().unwrap()
}

#[tokio::test]
async fn a_container_on_a_host_without_a_token_is_given_back_and_the_worker_told_why() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    until("a first heartbeat", || world.with(|state| state.count("allocate") > 0)).await;
    world.script("allocate", [unexpected(container(77, 1, &nowhere()))]);
    provider.ensure(spec(0)).await.unwrap();
    let Phase::Exited(Exit::LaunchFailed { diagnostics }) = next(&mut provider.watch(), &spec(0)).await
    else {
        panic!("it cannot run there")
    };
    assert!(diagnostics.contains("no token for nowhere.example.org:8041"), "{diagnostics}");
    until("it is given back", || world.with(|state| state.released.contains(&77))).await;
}

/// A heartbeat's answer with nothing in it but this.
fn unexpected(container: pb::Container) -> Reply {
    Reply::message(&pb::AllocateResponse {
        response_id: Some(1),
        allocated: vec![container],
        ..Default::default()
    })
}

#[tokio::test]
async fn a_container_of_another_attempt_that_the_node_refuses_is_given_back() {
    let world = World::new().await;
    let words = "Unauthorized request to start container. \nNMToken for application attempt : \
                 appattempt_1_0001_000001 was used for starting container with container token issued for \
                 application attempt : appattempt_1_0001_000002";
    let refused = pb::StartContainersResponse { succeeded: vec![], failed: vec![failure(1, words)] };
    world.script("startContainers", [Reply::message(&refused)]);
    let provider = world.open(PATIENT).await;
    provider.ensure(spec(0)).await.unwrap();
    let Phase::Exited(Exit::LaunchFailed { diagnostics }) = next(&mut provider.watch(), &spec(0)).await
    else {
        panic!("it was refused")
    };
    assert!(diagnostics.contains("appattempt_1_0001_000002"), "{diagnostics}");
    until("it is given back", || world.with(|state| state.released == [1])).await;
}

#[tokio::test]
async fn ends_told_twice_or_of_containers_that_are_not_ours_are_told_once_or_not_at_all() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    let mut news = provider.watch();
    provider.ensure(spec(0)).await.unwrap();
    assert!(matches!(next(&mut news, &spec(0)).await, Phase::Running { .. }));
    world.with(|state| {
        state.end(4711, 1);
        state.end(1, 137);
        state.end(1, 137);
        let mut other = id(1);
        other.attempt.as_mut().unwrap().attempt_id = Some(2);
        state.end_of(other, 0);
    });
    assert_eq!(next(&mut news, &spec(0)).await, Phase::Exited(Exit::Signal(9)));
    let second = WorkerSpec { attempt: Attempt::FIRST.next(), ..spec(0) };
    provider.ensure(second.clone()).await.unwrap();
    // Had the end been told again, it would come before this.
    assert!(matches!(next(&mut news, &second).await, Phase::Running { .. }));
    world.with(|state| state.end(1, 137));
    let beats = world.with(|state| state.count("allocate"));
    until("another heartbeat", || world.with(|state| state.count("allocate") > beats + 1)).await;
    assert!(matches!(next(&mut provider.watch(), &second).await, Phase::Running { .. }));
    assert!(world.with(|state| state.released.is_empty()));
}
