//! The contract of [`Provider`] as tests, one list that every implementation runs.
//!
//! An implementation writes a [`Fixture`] and a test target that says
//! `kobel_provider::contract_tests!(its_fixture)`, where `its_fixture` makes a fresh one; each
//! contract is then a test of its own. A contract runs workers that are small shell scripts, waits
//! for conditions with a deadline, and in the end requires that nothing is left.

mod life;
mod privacy;
mod recovery;
mod release;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream::BoxStream};
use kobel_plan::{Attempt, Exit, Phase, WorkerEvent, WorkerId, WorkerSpec};

pub use life::*;
pub use privacy::*;
pub use recovery::*;
pub use release::*;

use crate::Provider;

/// How long anything may take that is going to happen: long, because only failures wait for it.
const DEADLINE: Duration = Duration::from_secs(30);
/// A grace that no test waits out.
const LONG: Duration = Duration::from_secs(600);

/// What an implementation has to supply so that the contract can be checked against it. Every
/// fixture is a world of its own: fixtures of tests that run side by side share nothing.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The provider as a starting agent gets it: it knows only what former ones of this fixture left.
    async fn open(&self) -> Arc<dyn Provider>;

    /// A worker that runs `/bin/sh -c script`, with `PATH` as its only variable and no files.
    fn shell(&self, id: WorkerId, attempt: Attempt, script: &str) -> WorkerSpec;

    /// What this attempt has written so far.
    async fn output(&self, id: WorkerId, attempt: Attempt, stream: Output) -> String;

    /// What exists of any worker of this fixture, a line each: processes, descendants that left
    /// their group too, and directories. Logs do not count. MUST find them by other means than the
    /// provider does.
    async fn leftovers(&self) -> Vec<String>;

    /// Kills the process that has this id where a worker sees itself, and returns when it is dead.
    async fn kill(&self, pid: u32);

    /// Loses what the provider wrote down about workers, but not the workers; false where it writes
    /// nothing down.
    async fn lose_records(&self) -> bool;

    /// Makes what the provider wrote down about this attempt, which is gone, name a living process
    /// that is somebody else's; `None` where that cannot happen, as with container ids.
    async fn plant_stranger(&self, id: WorkerId, attempt: Attempt) -> Option<Box<dyn Stranger>>;
}

/// One of a worker's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A process that has nothing to do with the provider. Gone when dropped.
pub trait Stranger: Send {
    /// Whether it still runs.
    fn is_alive(&mut self) -> bool;
}

/// Runs every contract as a `#[tokio::test]` of its own. `$fixture` is a function that makes a fresh
/// fixture. The calling crate needs tokio with `macros` and `rt`.
#[macro_export]
macro_rules! contract_tests {
    ($fixture:path) => {
        $crate::contract_tests! { @each $fixture:
            ensure_is_recorded_then_runs,
            ensure_twice_starts_one,
            ensure_of_the_next_attempt_needs_the_former_released,
            ensure_of_a_former_attempt_is_refused,
            exit_code_is_reported,
            signal_is_reported,
            launch_failure_is_an_event,
            watch_replays_present_state,
            watch_misses_nothing,
            limits_are_told,
            release_of_absent_is_ok,
            release_lets_a_worker_clean_up,
            release_terminates_politely_then_surely,
            release_again_shortens_the_grace_and_never_lengthens_it,
            release_while_starting_is_heeded,
            release_kills_the_whole_group,
            strike_kills_as_a_fault_would,
            strike_freezes_what_still_can_be_released,
            strike_of_absent_is_refused,
            exit_takes_the_group_along,
            next_attempt_starts_while_the_former_leaves,
            recover_adopts_the_living,
            recover_of_nothing_is_empty,
            recover_clears_away_the_dead,
            end_of_the_adopted_is_reported,
            recover_ignores_a_reused_pid,
            recover_finds_unrecorded_by_marker,
            placeholders_are_expanded,
            output_goes_to_log_files,
            output_goes_on_without_an_agent,
            files_are_private,
            environment_is_not_inherited,
            finish_is_the_end
        }
    };
    (@each $fixture:path: $($contract:ident),*) => {$(
        #[tokio::test]
        async fn $contract() {
            let fixture = $fixture();
            $crate::contract::$contract(&fixture).await;
        }
    )*};
}

/// A provider under test with all that it told.
struct Bench<'a> {
    fixture: &'a dyn Fixture,
    provider: Arc<dyn Provider>,
    news: BoxStream<'static, WorkerEvent>,
    told: Vec<WorkerEvent>,
}

impl<'a> Bench<'a> {
    async fn open(fixture: &'a dyn Fixture) -> Self {
        let provider = fixture.open().await;
        let news = provider.watch();
        Self { fixture, provider, news, told: Vec::new() }
    }

    /// The agent dies and comes back; the workers run on.
    async fn reopen(self) -> Self {
        let fixture = self.fixture;
        drop(self);
        Self::open(fixture).await
    }

    /// Asks for a shell script as the first attempt of `tm-0`, and gives the specification back.
    async fn start(&self, script: &str) -> WorkerSpec {
        let spec = self.shell(script);
        self.ensure(&spec).await;
        spec
    }

    fn shell(&self, script: &str) -> WorkerSpec {
        self.fixture.shell(WorkerId::tm(0), Attempt::FIRST, script)
    }

    async fn ensure(&self, spec: &WorkerSpec) {
        self.provider.ensure(spec.clone()).await.expect("ensure");
    }

    async fn release(&self, spec: &WorkerSpec, grace: Duration) {
        self.provider.release(spec.id, spec.attempt, grace).await.expect("release");
    }

    /// The first phase of this worker that `wanted` accepts, told already or to come.
    async fn phase(&mut self, spec: &WorkerSpec, what: &str, wanted: impl Fn(&Phase) -> bool) -> Phase {
        let fits = |e: &WorkerEvent| (e.id, e.attempt) == (spec.id, spec.attempt) && wanted(&e.phase);
        let until = tokio::time::Instant::now() + DEADLINE;
        loop {
            if let Some(event) = self.told.iter().find(|event| fits(event)) {
                return event.phase.clone();
            }
            match tokio::time::timeout_at(until, self.news.next()).await {
                Ok(Some(event)) => self.told.push(event),
                Ok(None) => panic!("watch ended before {} was {what}; told: {:#?}", spec.name(), self.told),
                Err(_) => panic!("{} was not {what} in time; told: {:#?}", spec.name(), self.told),
            }
        }
    }

    async fn running(&mut self, spec: &WorkerSpec) {
        self.phase(spec, "running", |phase| matches!(phase, Phase::Running { .. })).await;
    }

    async fn exit(&mut self, spec: &WorkerSpec) -> Exit {
        match self.phase(spec, "gone", |phase| matches!(phase, Phase::Exited(_))).await {
            Phase::Exited(exit) => exit,
            other => unreachable!("{other:?} is no exit"),
        }
    }

    async fn out(&self, spec: &WorkerSpec) -> String {
        self.fixture.output(spec.id, spec.attempt, Output::Out).await
    }

    /// The process id of a worker that prints it first, once it has printed `up` too.
    async fn printed_pid(&self, spec: &WorkerSpec) -> u32 {
        let text = self.printed(spec, "up").await;
        text.lines().next().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("no pid in {text:?}"))
    }

    /// Waits until the worker has printed this line, and gives all that it printed.
    async fn printed(&self, spec: &WorkerSpec, line: &str) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            let text = self.out(spec).await;
            if text.lines().any(|printed| printed == line) {
                return text;
            }
            assert!(Instant::now() < until, "{} did not print {line:?} but {text:?}", spec.name());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A worker is over: its end was told, so nothing of it is left, now and not soon.
    async fn assert_nothing_left(&self) {
        let left = self.fixture.leftovers().await;
        assert!(left.is_empty(), "left after all: {left:#?}; told: {:#?}", self.told);
    }

    /// Releases a worker in no time, sees it go, and requires that nothing is left.
    async fn close(mut self, spec: &WorkerSpec) {
        self.release(spec, Duration::ZERO).await;
        self.exit(spec).await;
        self.assert_nothing_left().await;
    }
}

#[cfg(test)]
mod tests {
    /// A contract that is not in the list would not run.
    #[test]
    fn every_contract_is_in_the_list() {
        let list = include_str!("mod.rs");
        let sources = [
            include_str!("life.rs"),
            include_str!("privacy.rs"),
            include_str!("recovery.rs"),
            include_str!("release.rs"),
        ];
        for line in sources.iter().flat_map(|source| source.lines()) {
            if let Some(rest) = line.strip_prefix("pub async fn ") {
                let name = rest.split('(').next().unwrap();
                assert!(list.contains(&format!("            {name}")), "{name} is not in contract_tests!");
            }
        }
    }
}
