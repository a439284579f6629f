//! How containers are had and started.

use kobel_hadoop_rpc::proto::yarn as pb;

use super::{
    peers::{TOO_LARGE, failure, id},
    *,
};

const PATIENT: Duration = Duration::from_secs(600);

#[tokio::test]
async fn three_workers_start_and_leave_nothing() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    assert_eq!(provider.limits().await.unwrap(), Resources { memory_bytes: 8 << 30, vcores: 4 });
    for index in 0..3 {
        provider.ensure(spec(index)).await.unwrap();
        provider.ensure(spec(index)).await.unwrap();
    }
    for index in 0..3 {
        let phase = next(&mut provider.watch(), &spec(index)).await;
        let Phase::Running { host, pid: None, container: Some(container) } = &phase else {
            panic!("{phase:?}")
        };
        assert!(host == "127.0.0.1" && container.starts_with("container_1_0001_01_"), "{phase:?}");
    }
    world.with(|state| {
        assert_eq!((state.running.len(), state.count("startContainers")), (3, 3));
        assert_eq!(state.links, ["worker.json"]);
        let files: Vec<_> = state.files.iter().map(String::as_str).collect();
        assert_eq!(files, ["tm-0.1.json", "tm-1.1.json", "tm-2.1.json"]);
        assert!(state.released.is_empty());
    });
    for index in 0..3 {
        let mut news = provider.watch();
        assert!(matches!(next(&mut news, &spec(index)).await, Phase::Running { .. }));
        provider.release(spec(index).id, Attempt::FIRST, Duration::from_millis(1)).await.unwrap();
        assert_eq!(next(&mut news, &spec(index)).await, Phase::Exited(Exit::Released));
    }
    assert_eq!(world.with(|state| (state.running.len(), state.count("signalToContainer"))), (0, 3));
    until("the workers' files are gone", || world.with(|state| state.files.is_empty())).await;
}

#[tokio::test]
async fn a_container_that_ends_by_itself_is_told_and_the_next_attempt_is_free() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    let mut news = provider.watch();
    provider.ensure(spec(0)).await.unwrap();
    next(&mut news, &spec(0)).await;
    world.with(|state| state.end(1, 137));
    assert_eq!(next(&mut news, &spec(0)).await, Phase::Exited(Exit::Signal(9)));
    let second = WorkerSpec { attempt: Attempt::FIRST.next(), ..spec(0) };
    provider.ensure(second.clone()).await.unwrap();
    assert!(matches!(next(&mut news, &second).await, Phase::Running { .. }));
    let refused = provider.ensure(spec(0)).await;
    assert!(matches!(refused, Err(ProviderError::Superseded { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_refusal_of_the_node_is_told_in_its_words_and_gives_the_container_back() {
    let world = World::new().await;
    let refusal = pb::StartContainersResponse { succeeded: vec![], failed: vec![failure(1, "no disk")] };
    world.script("startContainers", [Reply::message(&refusal)]);
    let provider = world.open(PATIENT).await;
    provider.ensure(spec(0)).await.unwrap();
    let exit = Exit::LaunchFailed { diagnostics: "no disk".into() };
    assert_eq!(next(&mut provider.watch(), &spec(0)).await, Phase::Exited(exit));
    until("the container is given back", || world.with(|state| state.released == [1])).await;
}

fn status(state: i32) -> Reply {
    let status = pb::ContainerStatus { id: Some(id(1)), state: Some(state), ..Default::default() };
    Reply::message(&pb::ContainerStatusesResponse { status: vec![status], failed: vec![] })
}

#[tokio::test]
async fn a_start_without_an_answer_is_asked_after_and_not_repeated() {
    let world = World::new().await;
    world.script("startContainers", [Reply::close()]);
    world.script("getContainerStatuses", [status(2)]);
    let provider = world.open(PATIENT).await;
    provider.ensure(spec(0)).await.unwrap();
    let phase = next(&mut provider.watch(), &spec(0)).await;
    assert!(matches!(phase, Phase::Running { .. }), "{phase:?}");
    assert_eq!(world.with(|state| (state.count("startContainers"), state.released.len())), (1, 0));
}

#[tokio::test]
async fn a_start_without_an_answer_that_the_node_knows_nothing_of_has_failed() {
    let world = World::new().await;
    world.script("startContainers", [Reply::close()]);
    let unknown = failure(1, "Container 1 is not handled by this NodeManager");
    let statuses = pb::ContainerStatusesResponse { status: vec![], failed: vec![unknown] };
    world.script("getContainerStatuses", [Reply::message(&statuses)]);
    let provider = world.open(PATIENT).await;
    provider.ensure(spec(0)).await.unwrap();
    let phase = next(&mut provider.watch(), &spec(0)).await;
    assert!(matches!(phase, Phase::Exited(Exit::LaunchFailed { .. })), "{phase:?}");
    until("the container is given back", || world.with(|state| state.released == [1])).await;
}

#[tokio::test]
async fn what_is_too_large_fails_and_the_master_lives_on() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    let huge = WorkerSpec { resources: Resources { memory_bytes: 1 << 40, vcores: 1 }, ..spec(0) };
    provider.ensure(huge).await.unwrap();
    let exit = Exit::LaunchFailed { diagnostics: TOO_LARGE.into() };
    assert_eq!(next(&mut provider.watch(), &spec(0)).await, Phase::Exited(exit));
    provider.ensure(spec(1)).await.unwrap();
    let phase = next(&mut provider.watch(), &spec(1)).await;
    assert!(matches!(phase, Phase::Running { .. }), "{phase:?}");
}

#[tokio::test]
async fn a_resourcemanager_that_forgot_the_master_hears_everything_again() {
    let not_registered = || yarn_exception("ApplicationMasterNotRegisteredException", "not registered");
    let already = yarn_exception(
        "InvalidApplicationMasterRequestException",
        "Application Master is already registered : application_1_0001",
    );
    for second_registration in [None, Some(already)] {
        let world = World::new().await;
        let provider = world.open(PATIENT).await;
        // It takes the ask, and has forgotten it when it is to be answered.
        world.script("allocate", [not_registered()]);
        world.script("registerApplicationMaster", second_registration);
        for index in 0..2 {
            provider.ensure(spec(index)).await.unwrap();
        }
        for index in 0..2 {
            let phase = next(&mut provider.watch(), &spec(index)).await;
            assert!(matches!(phase, Phase::Running { .. }), "{phase:?}");
        }
        assert_eq!(world.with(|state| state.count("registerApplicationMaster")), 2);
        assert_eq!(world.with(|state| state.running.len()), 2);
    }
}
