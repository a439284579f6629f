//! Tables of single decisions, then properties over random histories.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const JM: WorkerId = WorkerId { role: Role::JobManager, index: 0 };

fn tm(index: u32) -> WorkerId {
    WorkerId::tm(index)
}

fn attempt(n: u32) -> Attempt {
    (1..n).fold(Attempt::FIRST, |attempt, _| attempt.next())
}

fn wanted(job_managers: u32, task_managers: u32) -> Wanted {
    Wanted { job_managers, task_managers }
}

fn event(id: WorkerId, n: u32, phase: Phase) -> WorkerEvent {
    WorkerEvent { id, attempt: attempt(n), at: Timestamp::UNIX_EPOCH, phase }
}

fn running(id: WorkerId, n: u32) -> WorkerEvent {
    event(id, n, Phase::Running { host: "h".into(), pid: Some(1), container: None })
}

fn exited(id: WorkerId, n: u32, exit: Exit) -> WorkerEvent {
    event(id, n, Phase::Exited(exit))
}

/// A table after everything wanted was asked for and runs.
fn settled(wanted: Wanted, now: Instant) -> Table {
    let mut table = Table::default();
    for action in actions(&table, wanted, now) {
        table.acted(action);
        if let Action::Ensure(id, _) = action {
            table.saw(&running(id, 1), now);
        }
    }
    table
}

fn actions(table: &Table, wanted: Wanted, now: Instant) -> Vec<Action> {
    match table.decide(wanted, now) {
        Decision::Act(actions) => actions,
        Decision::End(end) => panic!("ended: {end:?}"),
    }
}

#[test]
fn masters_and_workers_start_side_by_side() {
    let now = Instant::now();
    let first = Attempt::FIRST;
    let expected = [JM, tm(0), tm(1)].map(|id| Action::Ensure(id, first));
    assert_eq!(actions(&Table::default(), wanted(1, 2), now), expected);
    assert_eq!(actions(&settled(wanted(1, 2), now), wanted(1, 2), now), []);
}

#[test]
fn a_lost_worker_comes_back_as_the_next_attempt_after_a_pause() {
    let now = Instant::now();
    let mut table = settled(wanted(1, 1), now);
    table.was_ready();
    assert_eq!(table.saw(&exited(tm(0), 1, Exit::Signal(9)), now), Told::Failed);
    assert_eq!(actions(&table, wanted(1, 1), now), []);
    assert_eq!(table.next_wake(wanted(1, 1)), Some(now + FIRST_DELAY));
    let later = now + FIRST_DELAY;
    assert_eq!(actions(&table, wanted(1, 1), later), [Action::Ensure(tm(0), attempt(2))]);
}

#[test]
fn the_pause_grows_and_is_forgotten_after_a_healthy_while() {
    let mut now = Instant::now();
    let mut table = settled(wanted(1, 1), now);
    table.was_ready();
    let mut pauses = vec![];
    for n in 1..=4 {
        table.saw(&exited(tm(0), n, Exit::Code(1)), now);
        let wake = table.next_wake(wanted(1, 1)).unwrap();
        pauses.push((wake - now).as_millis());
        now = wake;
        table.acted(actions(&table, wanted(1, 1), now)[0]);
    }
    assert_eq!(pauses, [10, 1000, 2000, 4000]);
    now += WINDOW;
    table.saw(&exited(tm(0), 5, Exit::Code(1)), now);
    assert_eq!(table.next_wake(wanted(1, 1)), Some(now + FIRST_DELAY));
}

#[test]
fn a_crash_loop_ends_the_cluster_sooner_if_it_was_never_ready() {
    for (ready, limit) in [(false, CRASH_LOOP_AT_START), (true, CRASH_LOOP)] {
        let mut now = Instant::now();
        let mut table = settled(wanted(1, 1), now);
        if ready {
            table.was_ready();
        }
        for n in 1..limit as u32 {
            table.saw(&exited(JM, n, Exit::Code(1)), now);
            now = table.next_wake(wanted(1, 1)).unwrap();
            table.acted(actions(&table, wanted(1, 1), now)[0]);
        }
        table.saw(&exited(JM, limit as u32, Exit::Code(1)), now);
        let end =
            End::CrashLoop { id: JM, attempt: attempt(limit as u32), exit: Exit::Code(1), times: limit };
        assert_eq!(table.decide(wanted(1, 1), now), Decision::End(end));
    }
}

#[test]
fn a_failure_that_was_forgiven_does_not_count() {
    let now = Instant::now();
    let mut table = settled(wanted(1, 1), now);
    table.saw(&exited(JM, 1, Exit::Code(1)), now);
    table.forgive(JM);
    table.acted(Action::Ensure(JM, attempt(2)));
    table.saw(&exited(JM, 2, Exit::Code(1)), now);
    assert!(matches!(table.decide(wanted(1, 1), now), Decision::Act(_)));
}

#[test]
fn what_is_killed_again_and_again_while_it_works_is_no_crash_loop() {
    let mut now = Instant::now();
    let mut table = settled(wanted(1, 1), now);
    table.was_ready();
    let at = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap();
    for n in 1..=KILL_LOOP as u32 {
        assert!(matches!(table.decide(wanted(1, 1), now), Decision::Act(_)), "killed {n} times");
        table.saw(&WorkerEvent { at: at(0), ..running(JM, n + 1) }, now);
        table.saw(&WorkerEvent { at: at(5), ..exited(JM, n + 1, Exit::Signal(9)) }, now);
        now = table.next_wake(wanted(1, 1)).unwrap();
    }
    assert!(matches!(
        table.decide(wanted(1, 1), now),
        Decision::End(End::CrashLoop { times: KILL_LOOP, .. })
    ));
}

/// Row 39: killed as soon as it is there, for five minutes.
#[test]
fn a_storm_of_kills_is_outlived_by_a_cluster_that_was_ready_and_by_no_other() {
    let began = Instant::now();
    for ready in [true, false] {
        let (mut now, mut table) = (began, settled(wanted(1, 1), began));
        if ready {
            table.was_ready();
        }
        let mut ended = false;
        for n in 1.. {
            if ended || now.duration_since(began) > Duration::from_secs(300) {
                break;
            }
            table.saw(&exited(JM, n, Exit::Signal(9)), now);
            ended = matches!(table.decide(wanted(1, 1), now), Decision::End(_));
            let next = table.next_wake(wanted(1, 1)).unwrap();
            assert!(ended || next - now <= STORM_DELAY, "{:?}", next - now);
            now = next;
            table.acted(Action::Ensure(JM, attempt(n + 1)));
        }
        assert_eq!(ended, !ready);
    }
}

#[test]
fn what_the_scheduler_takes_is_no_failure() {
    let mut now = Instant::now();
    let mut table = settled(wanted(1, 1), now);
    for n in 1..20 {
        table.saw(&exited(tm(0), n, Exit::Preempted), now);
        now = table.next_wake(wanted(1, 1)).unwrap();
        table.acted(actions(&table, wanted(1, 1), now)[0]);
    }
}

#[test]
fn a_jobmanager_that_leaves_with_zero_ended_the_cluster() {
    let now = Instant::now();
    for (id, ends) in [(JM, true), (tm(0), false)] {
        let mut table = settled(wanted(1, 1), now);
        table.saw(&exited(id, 1, Exit::Code(0)), now);
        let ended = table.decide(wanted(1, 1), now) == Decision::End(End::JobManagerEnded);
        assert_eq!(ended, ends, "{id}");
    }
}

#[test]
fn scaling_down_gives_up_the_highest_and_scaling_to_nothing_ends() {
    let now = Instant::now();
    let mut table = settled(wanted(1, 3), now);
    let down = actions(&table, wanted(1, 1), now);
    assert_eq!(down, [Action::Release(tm(2), Attempt::FIRST), Action::Release(tm(1), Attempt::FIRST)]);
    down.into_iter().for_each(|action| table.acted(action));
    assert_eq!(actions(&table, wanted(1, 1), now), []);
    assert_eq!(table.decide(wanted(0, 0), now), Decision::End(End::NoneWanted));
}

#[test]
fn a_leaving_worker_wanted_again_is_awaited_first() {
    let now = Instant::now();
    let mut table = settled(wanted(1, 1), now);
    table.acted(Action::Release(tm(0), Attempt::FIRST));
    assert_eq!(actions(&table, wanted(1, 1), now), []);
    assert_eq!(table.saw(&exited(tm(0), 1, Exit::Signal(15)), now), Told::Released);
    assert_eq!(actions(&table, wanted(1, 1), now), [Action::Ensure(tm(0), attempt(2))]);
}

#[test]
fn an_attempt_that_rises_from_the_dead_is_a_ghost() {
    let now = Instant::now();
    let mut table = settled(wanted(1, 1), now);
    table.was_ready();
    table.saw(&exited(tm(0), 1, Exit::NodeLost), now);
    table.acted(Action::Ensure(tm(0), attempt(2)));
    assert_eq!(table.saw(&running(tm(0), 1), now), Told::Ghost);
    assert_eq!(table.saw(&exited(tm(0), 1, Exit::Released), now), Told::Nothing);
    assert!(table.live().any(|(id, _)| id == tm(0)));
}

#[test]
fn a_returning_agent_goes_on_counting_attempts() {
    let now = Instant::now();
    let mut table = Table::default();
    table.remember(JM, attempt(3), now);
    table.remember(tm(0), attempt(1), now);
    assert_eq!(table.saw(&running(tm(0), 1), now), Told::Running);
    assert_eq!(actions(&table, wanted(1, 1), now), [Action::Ensure(JM, attempt(4))]);
}

/// One step of a random history.
#[derive(Debug, Clone)]
enum Step {
    Scale(u32, u32),
    Exit(usize, Exit),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let exit =
        prop_oneof![Just(Exit::Signal(9)), Just(Exit::Preempted), Just(Exit::Code(1)), Just(Exit::NodeLost)];
    let step = prop_oneof![
        (0..3u32, 0..5u32).prop_map(|(jm, tm)| Step::Scale(jm, tm)),
        (any::<usize>(), exit).prop_map(|(which, exit)| Step::Exit(which, exit)),
        (0..10_000u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..60)
}

/// A provider that does at once what it is asked, and objects to what it must never be asked.
#[derive(Default)]
struct World {
    live: BTreeSet<(WorkerId, Attempt)>,
    highest: BTreeMap<WorkerId, Attempt>,
}

impl World {
    fn act(&mut self, action: Action, table: &mut Table, now: Instant) {
        match action {
            Action::Ensure(id, attempt) => {
                assert!(!self.live.iter().any(|(other, _)| *other == id), "two live attempts of {id}");
                assert!(self.highest.get(&id).is_none_or(|highest| *highest < attempt), "{id} fell back");
                self.highest.insert(id, attempt);
                self.live.insert((id, attempt));
                table.acted(action);
                table.saw(&running(id, attempt.0.get()), now);
            }
            Action::Release(id, attempt) => {
                assert!(self.live.remove(&(id, attempt)), "{id} was not there");
                table.acted(action);
                table.saw(&exited(id, attempt.0.get(), Exit::Released), now);
            }
        }
    }

    /// Lets the table act until it is content; returns false when it ends the cluster.
    fn settle(&mut self, table: &mut Table, wanted: Wanted, now: Instant) -> bool {
        for _ in 0..100 {
            match table.decide(wanted, now) {
                Decision::End(_) => return false,
                Decision::Act(actions) if actions.is_empty() => return true,
                Decision::Act(actions) => actions.into_iter().for_each(|action| self.act(action, table, now)),
            }
        }
        panic!("no end to the actions");
    }
}

proptest! {
    #[test]
    fn any_history_keeps_one_live_attempt_and_converges(steps in steps()) {
        let (mut now, mut want) = (Instant::now(), wanted(1, 2));
        let (mut table, mut world) = (Table::default(), World::default());
        table.was_ready();
        for step in steps {
            match step {
                Step::Scale(jm, tm) => want = wanted(jm, tm),
                Step::Wait(ms) => now += Duration::from_millis(ms),
                Step::Exit(which, exit) => {
                    let victim = world.live.iter().nth(which % world.live.len().max(1)).copied();
                    if let Some((id, attempt)) = victim {
                        world.live.remove(&(id, attempt));
                        table.saw(&exited(id, attempt.0.get(), exit), now);
                    }
                }
            }
            if !world.settle(&mut table, want, now) {
                return Ok(());
            }
        }
        // Left alone for long enough, exactly the wanted workers live.
        now += Duration::from_secs(60);
        prop_assert!(world.settle(&mut table, want, now));
        let live: Vec<_> = world.live.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(live, table.wanted_ids(want).collect::<Vec<_>>());
    }
}
