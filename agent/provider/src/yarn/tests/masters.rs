//! JobManagers: the first beside the master, the others in containers of their own, which are looked after.

use kobel_plan::{Death, Fault};

use super::*;

const PATIENT: Duration = Duration::from_secs(600);

fn master(index: u32) -> WorkerSpec {
    let launch = Launch { program: "/bin/sleep".into(), args: vec!["600".into()], env: BTreeMap::new() };
    WorkerSpec { id: WorkerId::jm(index), launch, ..spec(0) }
}

#[tokio::test]
async fn only_the_first_jobmanager_is_the_masters_own() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    // Nothing tells whose news comes first.
    let [mut of_first, mut of_second] = [provider.watch(), provider.watch()];
    for index in [0, 1] {
        provider.ensure(master(index)).await.unwrap();
    }
    let (first, second) = (next(&mut of_first, &master(0)).await, next(&mut of_second, &master(1)).await);
    assert!(matches!(first, Phase::Running { pid: Some(_), container: None, .. }), "{first:?}");
    assert!(matches!(second, Phase::Running { pid: None, container: Some(_), .. }), "{second:?}");
    for (index, news) in [(0, &mut of_first), (1, &mut of_second)] {
        provider.release(master(index).id, Attempt::FIRST, Duration::ZERO).await.unwrap();
        assert_eq!(next(news, &master(index)).await, Phase::Exited(Exit::Released));
    }
    assert_eq!(world.with(|state| state.running.len()), 0);
}

#[tokio::test]
async fn the_end_of_a_jobmanager_is_heard_from_its_node() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    let mut news = provider.watch();
    provider.ensure(master(1)).await.unwrap();
    next(&mut news, &master(1)).await;
    until("its node was asked", || world.with(|state| state.count("getContainerStatuses") > 1)).await;
    world.with(|state| state.exits.insert(1, 137));
    let exit = Exit::Signal(9);
    assert_eq!(next(&mut news, &master(1)).await, Phase::Exited(exit.clone()), "nobody else has told it");
    let proof = Death::Container { status: 137, node_alive: true };
    assert_eq!(provider.death(master(1).id, Attempt::FIRST, &exit), proof);
    // The ResourceManager hears of it later, and tells it again.
    world.with(|state| state.end(1, 137));
    let second = WorkerSpec { attempt: Attempt::FIRST.next(), ..master(1) };
    provider.ensure(second.clone()).await.unwrap();
    assert!(matches!(next(&mut news, &second).await, Phase::Running { .. }));
}

#[tokio::test]
async fn a_node_kills_for_a_drill_and_does_nothing_else() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    let mut news = provider.watch();
    let strike = |fault| provider.strike(master(1).id, Attempt::FIRST, fault);
    assert!(matches!(strike(Fault::Kill).await, Err(ProviderError::NotAlive { .. })));
    provider.ensure(master(1)).await.unwrap();
    next(&mut news, &master(1)).await;
    assert!(matches!(strike(Fault::Freeze).await, Err(ProviderError::OutOfReach { .. })));
    assert_eq!(world.with(|state| state.count("signalToContainer")), 0);
    strike(Fault::Kill).await.unwrap();
    assert_eq!(world.with(|state| state.count("signalToContainer")), 1);
    world.script("signalToContainer", [yarn_exception("YarnException", "no such container")]);
    let refused = strike(Fault::Kill).await.unwrap_err().to_string();
    assert!(refused.contains("no such container"), "{refused}");
}
