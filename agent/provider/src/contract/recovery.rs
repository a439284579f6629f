//! Contracts about an agent that comes back. The former one is gone once its workers run: a provider
//! dropped in the midst of a launch may finish that launch, as no agent that died does.

use std::time::Duration;

use kobel_plan::{Exit, Launch, Phase};

use super::{Bench, Fixture};
use crate::Recovered;

/// A worker outlives its agent, and the next agent has it as if it had started it: the same process,
/// told of, not started again, released, and cleared away.
pub async fn recover_adopts_the_living(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("echo $$; echo up; exec sleep 60").await;
    bench.running(&spec).await;
    let own_pid = bench.printed_pid(&spec).await;
    let printed = bench.out(&spec).await;

    let mut bench = bench.reopen().await;
    let found = bench.provider.recover().await.expect("recover");
    let [Recovered { id, attempt, phase: Phase::Running { pid, .. }, note: None }] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((*id, *attempt), (spec.id, spec.attempt));
    assert!(pid.is_none_or(|pid| pid == own_pid), "{found:?} is not process {own_pid}");
    bench.running(&spec).await;
    bench.ensure(&spec).await;
    bench.release(&spec, Duration::ZERO).await;
    assert_eq!(bench.exit(&spec).await, Exit::Released);
    assert_eq!(bench.out(&spec).await, printed, "started twice");
    bench.assert_nothing_left().await;
}

/// A first agent finds nothing.
pub async fn recover_of_nothing_is_empty(fixture: &dyn Fixture) {
    assert_eq!(fixture.open().await.recover().await.expect("recover"), []);
}

/// A worker that ended while no agent was there is not recovered, and what it left is gone.
pub async fn recover_clears_away_the_dead(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("sleep 60 & setsid sleep 60 & echo $$; echo up; wait").await;
    bench.running(&spec).await;
    let pid = bench.printed_pid(&spec).await;
    drop(bench);
    fixture.kill(pid).await;

    let bench = Bench::open(fixture).await;
    assert_eq!(bench.provider.recover().await.expect("recover"), []);
    bench.assert_nothing_left().await;
}

/// An adopted worker's end is told, though perhaps nobody can know how it ended; then it is not
/// guessed.
pub async fn end_of_the_adopted_is_reported(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("sleep 60 & setsid sleep 60 & echo $$; echo up; wait").await;
    bench.running(&spec).await;
    let pid = bench.printed_pid(&spec).await;
    let mut bench = bench.reopen().await;
    bench.running(&spec).await;
    fixture.kill(pid).await;
    let exit = bench.exit(&spec).await;
    assert!(matches!(exit, Exit::Unknown(_) | Exit::Signal(9)), "{exit:?}");
    bench.assert_nothing_left().await;
}

/// A process that merely has the number that was a worker's is not adopted, and lives on.
pub async fn recover_ignores_a_reused_pid(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("exit 0").await;
    bench.exit(&spec).await;
    drop(bench);
    let Some(mut stranger) = fixture.plant_stranger(spec.id, spec.attempt).await else { return };

    let bench = Bench::open(fixture).await;
    assert_eq!(bench.provider.recover().await.expect("recover"), []);
    bench.release(&spec, Duration::ZERO).await;
    assert!(stranger.is_alive(), "killed a process that is not ours");
    bench.assert_nothing_left().await;
}

/// Without its records a provider finds its workers all the same: a second copy is never started.
pub async fn recover_finds_unrecorded_by_marker(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let mut spec = bench.shell("setsid sleep 60 & echo up; sleep 60; exit 0");
    spec.launch.env.insert(Launch::NOTE.into(), "as it was told".into());
    bench.ensure(&spec).await;
    bench.running(&spec).await;
    let printed = bench.printed(&spec, "up").await;
    let (id, attempt) = (spec.id, spec.attempt);
    drop(bench);
    fixture.lose_records().await;

    let mut bench = Bench::open(fixture).await;
    let found = bench.provider.recover().await.expect("recover");
    let [Recovered { note, .. }] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found[0].id, found[0].attempt), (id, attempt));
    assert!(note.as_ref().is_none_or(|note| note == "as it was told"), "{note:?}");
    bench.ensure(&spec).await;
    bench.running(&spec).await;
    assert_eq!(bench.out(&spec).await, printed, "started twice");
    bench.close(&spec).await;
}
