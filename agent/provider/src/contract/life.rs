//! Contracts about how workers begin, end, and are told of.

use kobel_plan::{Attempt, Exit, Phase, Role, WorkerId};

use super::{Bench, Fixture, LONG};
use crate::ProviderError;

/// `ensure` comes back at once; the worker is told to be pending, then running, once each.
pub async fn ensure_is_recorded_then_runs(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("echo up; exec sleep 60").await;
    bench.running(&spec).await;
    assert!(matches!(bench.told[0].phase, Phase::Pending), "{:?}", bench.told);
    assert_eq!(bench.told.len(), 2);
    bench.printed(&spec, "up").await;
    bench.close(&spec).await;
}

/// Assumes that replies get lost: the same worker and attempt asked for again is one process, also
/// when the first one is already gone.
pub async fn ensure_twice_starts_one(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("echo started; exec sleep 60").await;
    bench.ensure(&spec).await;
    bench.running(&spec).await;
    bench.ensure(&spec).await;
    bench.printed(&spec, "started").await;
    bench.release(&spec, LONG).await;
    bench.exit(&spec).await;
    bench.ensure(&spec).await;
    assert_eq!(bench.out(&spec).await, "started\n");
    assert_eq!(bench.told.len(), 3, "pending, running, exited: {:?}", bench.told);
    bench.close(&spec).await;
}

/// A worker that lives and was not released keeps its id.
pub async fn ensure_of_the_next_attempt_needs_the_former_released(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("exec sleep 60").await;
    bench.running(&spec).await;
    let next = fixture.shell(spec.id, Attempt::FIRST.next(), "exec sleep 60");
    let refused = bench.provider.ensure(next).await;
    assert!(matches!(refused, Err(ProviderError::NotReleased { .. })), "{refused:?}");
    bench.close(&spec).await;
}

/// Attempts only rise: one that was overtaken is not started any more.
pub async fn ensure_of_a_former_attempt_is_refused(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let second = fixture.shell(WorkerId::tm(0), Attempt::FIRST.next(), "exec sleep 60");
    bench.ensure(&second).await;
    bench.running(&second).await;
    let refused = bench.provider.ensure(bench.shell("exec sleep 60")).await;
    assert!(matches!(refused, Err(ProviderError::Superseded { .. })), "{refused:?}");
    bench.close(&second).await;
}

/// A worker that ends by itself is told with its code, and takes its directory along.
pub async fn exit_code_is_reported(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    for (index, code) in [0, 7, 239].into_iter().enumerate() {
        let id = WorkerId { role: Role::JobManager, index: index as u32 };
        let spec = fixture.shell(id, Attempt::FIRST, &format!("echo x > tmp/file; exit {code}"));
        bench.ensure(&spec).await;
        assert_eq!(bench.exit(&spec).await, Exit::Code(code));
    }
    bench.assert_nothing_left().await;
}

/// A worker that a signal of somebody else's ended is told with that signal.
pub async fn signal_is_reported(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    for (index, signal) in [9, 15].into_iter().enumerate() {
        let spec = fixture.shell(WorkerId::tm(index as u32), Attempt::FIRST, &format!("kill -{signal} $$"));
        bench.ensure(&spec).await;
        assert_eq!(bench.exit(&spec).await, Exit::Signal(signal));
    }
    bench.assert_nothing_left().await;
}

/// A program that cannot be run is no error of `ensure`: the event names it. The worker's next
/// attempt is free.
pub async fn launch_failure_is_an_event(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let mut spec = bench.shell("");
    spec.launch.program = "/nonexistent/java".into();
    bench.ensure(&spec).await;
    let exit = bench.exit(&spec).await;
    let Exit::LaunchFailed { diagnostics } = &exit else { panic!("{exit:?}") };
    assert!(diagnostics.contains("/nonexistent/java"), "{diagnostics}");
    bench.assert_nothing_left().await;

    let next = fixture.shell(spec.id, spec.attempt.next(), "exec sleep 60");
    bench.ensure(&next).await;
    bench.running(&next).await;
    bench.close(&next).await;
}

/// Who watches late hears how every worker stands, the gone ones too, and then what follows.
pub async fn watch_replays_present_state(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let gone = fixture.shell(WorkerId::tm(1), Attempt::FIRST, "exit 3");
    bench.ensure(&gone).await;
    bench.exit(&gone).await;
    let spec = bench.start("exec sleep 60").await;
    bench.running(&spec).await;

    bench.news = bench.provider.watch();
    bench.told.clear();
    bench.running(&spec).await;
    assert_eq!(bench.exit(&gone).await, Exit::Code(3));
    assert_eq!(bench.told.len(), 2, "one each: {:?}", bench.told);
    bench.close(&spec).await;
}

/// Watchers that come at any moment agree: each hears of every worker's end exactly once, and never
/// of anything after it.
pub async fn watch_misses_nothing(fixture: &dyn Fixture) {
    const WORKERS: u32 = 8;
    let mut benches = vec![Bench::open(fixture).await];
    for index in 0..WORKERS {
        let spec = fixture.shell(WorkerId::tm(index), Attempt::FIRST, "exit 5");
        let provider = benches[0].provider.clone();
        provider.ensure(spec).await.expect("ensure");
        let news = provider.watch();
        benches.push(Bench { fixture, provider, news, told: Vec::new() });
    }
    for bench in &mut benches {
        for index in 0..WORKERS {
            let spec = fixture.shell(WorkerId::tm(index), Attempt::FIRST, "");
            assert_eq!(bench.exit(&spec).await, Exit::Code(5));
            let told = bench.told.iter().filter(|event| event.id == spec.id).collect::<Vec<_>>();
            let ends = told.iter().filter(|event| matches!(event.phase, Phase::Exited(_))).count();
            assert_eq!(ends, 1, "{told:?}");
            assert!(matches!(told[told.len() - 1].phase, Phase::Exited(_)), "{told:?}");
        }
    }
    benches[0].assert_nothing_left().await;
}

/// The largest worker is something.
pub async fn limits_are_told(fixture: &dyn Fixture) {
    let limits = fixture.open().await.limits().await.expect("limits");
    assert!(limits.memory_bytes > 0 && limits.vcores > 0, "{limits:?}");
}
