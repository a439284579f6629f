//! Contracts about how workers are ended.

use std::time::{Duration, Instant};

use kobel_plan::{Attempt, Exit, Fault, WorkerId};

use super::{Bench, Fixture, LONG};
use crate::ProviderError;

/// A worker that never was, or is gone, is released already.
pub async fn release_of_absent_is_ok(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    bench.provider.release(WorkerId::tm(9), Attempt::FIRST, LONG).await.expect("release of nothing");
    let spec = bench.start("exit 4").await;
    assert_eq!(bench.exit(&spec).await, Exit::Code(4));
    bench.release(&spec, LONG).await;
    assert_eq!(bench.told.len(), 3, "pending, running, exited: {:?}", bench.told);
    bench.assert_nothing_left().await;
}

/// SIGTERM comes first and a worker that heeds it is not hurried, whatever code it ends with.
pub async fn release_lets_a_worker_clean_up(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("trap 'echo cleaned; exit 0' TERM; echo up; while :; do sleep 0.05; done").await;
    bench.printed(&spec, "up").await;
    bench.release(&spec, LONG).await;
    assert_eq!(bench.exit(&spec).await, Exit::Released);
    bench.printed(&spec, "cleaned").await;
    bench.assert_nothing_left().await;
}

/// A worker that ignores SIGTERM lives as long as the grace and no longer.
pub async fn release_terminates_politely_then_surely(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start(STUBBORN).await;
    bench.printed(&spec, "up").await;
    let (begin, grace) = (Instant::now(), Duration::from_millis(400));
    bench.release(&spec, grace).await;
    assert!(begin.elapsed() < grace, "release waited for the end");
    assert_eq!(bench.exit(&spec).await, Exit::Released);
    assert!(begin.elapsed() >= grace, "killed before its grace was over");
    bench.assert_nothing_left().await;
}

/// Of several releases the earliest end holds, so `kill` after `stop` takes effect.
pub async fn release_again_shortens_the_grace_and_never_lengthens_it(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start(STUBBORN).await;
    bench.printed(&spec, "up").await;
    bench.release(&spec, LONG).await;
    bench.release(&spec, Duration::from_millis(200)).await;
    bench.release(&spec, LONG).await;
    assert_eq!(bench.exit(&spec).await, Exit::Released);
    bench.assert_nothing_left().await;
}

/// A worker may be released before it runs.
pub async fn release_while_starting_is_heeded(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("exec sleep 60").await;
    bench.release(&spec, LONG).await;
    assert_eq!(bench.exit(&spec).await, Exit::Released);
    bench.assert_nothing_left().await;
}

/// Children of the worker go with it: those that ignore SIGTERM, and those that left its group.
pub async fn release_kills_the_whole_group(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start(FAMILY).await;
    bench.printed(&spec, "up").await;
    bench.release(&spec, Duration::from_millis(200)).await;
    assert_eq!(bench.exit(&spec).await, Exit::Released);
    bench.assert_nothing_left().await;
}

/// A drill that kills is told as any other death by a signal.
pub async fn strike_kills_as_a_fault_would(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("echo up; exec sleep 60").await;
    bench.running(&spec).await;
    bench.provider.strike(spec.id, spec.attempt, Fault::Kill).await.expect("strike");
    assert_eq!(bench.exit(&spec).await, Exit::Signal(9));
    bench.assert_nothing_left().await;
}

/// A frozen worker does nothing any more, and does not hear SIGTERM; its end is sure even so. So it is with one
/// that was adopted.
pub async fn strike_freezes_what_still_can_be_released(fixture: &dyn Fixture) {
    let bench = Bench::open(fixture).await;
    let spec = bench.start("trap 'echo cleaned; exit 0' TERM; echo up; while :; do sleep 0.05; done").await;
    bench.printed(&spec, "up").await;
    let mut bench = bench.reopen().await;
    bench.provider.strike(spec.id, spec.attempt, Fault::Freeze).await.expect("strike");
    bench.release(&spec, Duration::from_millis(200)).await;
    assert_eq!(bench.exit(&spec).await, Exit::Released);
    assert_eq!(bench.out(&spec).await, "up\n");
    bench.assert_nothing_left().await;
}

/// Who never was, or is gone, or is another attempt, cannot be hit.
pub async fn strike_of_absent_is_refused(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("exit 4").await;
    assert_eq!(bench.exit(&spec).await, Exit::Code(4));
    for (id, attempt) in
        [(WorkerId::tm(9), Attempt::FIRST), (spec.id, spec.attempt), (spec.id, spec.attempt.next())]
    {
        let refused = bench.provider.strike(id, attempt, Fault::Kill).await;
        assert!(matches!(refused, Err(ProviderError::NotAlive { .. })), "{refused:?}");
    }
    bench.assert_nothing_left().await;
}

/// The same when the worker ends by itself.
pub async fn exit_takes_the_group_along(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start(&FAMILY.replace("wait", "exit 6")).await;
    assert_eq!(bench.exit(&spec).await, Exit::Code(6));
    bench.assert_nothing_left().await;
}

/// A replacement need not wait until the former process has used up its grace.
pub async fn next_attempt_starts_while_the_former_leaves(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let former = bench.start(STUBBORN).await;
    bench.printed(&former, "up").await;
    bench.release(&former, LONG).await;
    let next = fixture.shell(former.id, former.attempt.next(), "echo up; exec sleep 60");
    bench.ensure(&next).await;
    bench.running(&next).await;
    bench.release(&former, Duration::ZERO).await;
    assert_eq!(bench.exit(&former).await, Exit::Released);
    bench.printed(&next, "up").await;
    bench.close(&next).await;
}

/// Ignores SIGTERM, as its children do.
const STUBBORN: &str = "trap '' TERM; echo up; while :; do sleep 0.05; done";

/// A plain child, one that ignores SIGTERM, one that hides its environment, one in a session of its
/// own, and then the worker waits.
const FAMILY: &str = "sleep 60 & \
    (trap '' TERM; sleep 60) & \
    env -i PATH=\"$PATH\" sleep 60 & \
    setsid sleep 60 & \
    echo up; wait";
