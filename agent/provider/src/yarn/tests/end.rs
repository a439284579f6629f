//! How workers are stopped, and how a master ends: on request, or because it is not in charge any more.

use kobel_hadoop_rpc::proto::yarn as pb;

use super::{peers::failure, *};

const PATIENT: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_node_that_does_not_stop_a_container_has_the_resourcemanager_do_it() {
    let unknown = failure(1, "Container 1 is not handled by this NodeManager");
    let refused = pb::StopContainersResponse { succeeded: vec![], failed: vec![unknown] };
    for answer in [Reply::message(&refused), Reply::exception("java.io.IOException", "no")] {
        let world = World::new().await;
        world.script("stopContainers", [answer]);
        let provider = world.open(PATIENT).await;
        let mut news = provider.watch();
        provider.ensure(spec(0)).await.unwrap();
        next(&mut news, &spec(0)).await;
        provider.release(spec(0).id, Attempt::FIRST, Duration::ZERO).await.unwrap();
        assert_eq!(next(&mut news, &spec(0)).await, Phase::Exited(Exit::Released));
        assert_eq!(world.with(|state| state.released.clone()), [1]);
    }
}

#[tokio::test]
async fn of_several_releases_the_one_that_ends_it_soonest_counts() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    let mut news = provider.watch();
    // What was said before there was a worker is not remembered.
    provider.release(spec(0).id, Attempt::FIRST, Duration::ZERO).await.unwrap();
    provider.ensure(spec(0)).await.unwrap();
    next(&mut news, &spec(0)).await;
    provider.release(spec(0).id, Attempt::FIRST, PATIENT).await.unwrap();
    until("a polite signal", || world.with(|state| state.count("signalToContainer") == 1)).await;
    assert_eq!(world.with(|state| state.count("stopContainers")), 0);
    provider.release(spec(0).id, Attempt::FIRST, Duration::ZERO).await.unwrap();
    assert_eq!(next(&mut news, &spec(0)).await, Phase::Exited(Exit::Released));
}

#[tokio::test]
async fn the_last_words_are_repeated_until_they_are_confirmed() {
    let world = World::new().await;
    world.with(|state| state.unconfirmed = 2);
    let provider = world.open(PATIENT).await;
    soon("the end", provider.finish(Outcome::Succeeded, "done")).await.unwrap();
    assert_eq!(world.with(|state| state.count("finishApplicationMaster")), 3);
    let beats = world.with(|state| state.count("allocate"));
    soon("the end again", provider.finish(Outcome::Succeeded, "done")).await.unwrap();
    assert_eq!(
        world.with(|state| (state.count("finishApplicationMaster"), state.count("allocate"))),
        (3, beats)
    );
    // What is gone may be released still; nothing new is had.
    provider.release(spec(0).id, Attempt::FIRST, Duration::ZERO).await.unwrap();
    let refused = provider.ensure(spec(0)).await;
    assert!(matches!(refused, Err(ProviderError::Ended)), "{refused:?}");
}

#[tokio::test]
async fn a_master_whose_attempt_is_over_is_fenced() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    let over =
        "Application attempt appattempt_1_0001_000001 doesn't exist in ApplicationMasterService cache.";
    world.script("allocate", [yarn_exception("ApplicationAttemptNotFoundException", over)]);
    let why = soon("the fence", provider.fenced()).await;
    assert!(why.contains("doesn't exist"), "{why}");
    let refused = provider.ensure(spec(0)).await;
    assert!(matches!(refused, Err(ProviderError::Ended)), "{refused:?}");
}

#[tokio::test]
async fn a_master_that_hears_nothing_for_too_long_is_fenced() {
    let world = World::new().await;
    let patience = Duration::from_millis(1200);
    let provider = world.open(patience).await;
    until("a heartbeat", || world.with(|state| state.count("allocate") > 0)).await;
    let begin = std::time::Instant::now();
    world.with(|state| state.silent = true);
    let why = soon("the fence", provider.fenced()).await;
    assert!(why.contains("has not answered"), "{why}");
    // The last answer may be as old as the pause between two heartbeats.
    assert!(begin.elapsed() + Duration::from_secs(1) >= patience, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_silence_that_ends_in_time_is_forgiven() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    world.script("allocate", [Reply::hang(), Reply::close()]);
    provider.ensure(spec(0)).await.unwrap();
    let phase = next(&mut provider.watch(), &spec(0)).await;
    assert!(matches!(phase, Phase::Running { .. }), "{phase:?}");
    assert_eq!(world.with(|state| state.asks.len()), 1);
}

#[tokio::test]
async fn what_is_to_be_known_afterwards_is_kept_before_yarn_is_told_of_the_end() {
    let world = World::new().await;
    let provider = world.open(PATIENT).await;
    let mut news = provider.watch();
    provider.ensure(spec(0)).await.unwrap();
    next(&mut news, &spec(0)).await;
    provider.release(spec(0).id, Attempt::FIRST, Duration::ZERO).await.unwrap();
    assert_eq!(next(&mut news, &spec(0)).await, Phase::Exited(Exit::Released));
    for _ in 0..2 {
        soon("the end", provider.finish(Outcome::Failed, "tm-0 died")).await.unwrap();
    }
    let kept = world.with(|state| state.kept.clone());
    assert_eq!(kept, [("tm-0 died".into(), vec!["tm-0.1".into()], 0)]);
}
