use proptest::prelude::*;

use super::*;

fn tasks(scheduled: u32, running: u32, finished: u32) -> TaskCounts {
    TaskCounts { scheduled, running, finished, ..TaskCounts::default() }
}

fn vertex(group: Option<&str>, parallelism: i64, tasks: TaskCounts) -> Vertex {
    let name = String::new();
    Vertex { id: name.clone(), name, parallelism, slot_sharing_group: group.map(String::from), tasks }
}

fn job(state: JobState, tasks: TaskCounts) -> JobSummary {
    let jid = "00112233445566778899aabbccddeeff".parse().unwrap();
    JobSummary { jid, name: String::new(), state, start_time: 0, end_time: -1, duration: 0, tasks }
}

fn lacking(vertices: &[Vertex], held: Option<u32>) -> (u32, u32) {
    let all = vertices.iter().fold(TaskCounts::default(), |sum, vertex| sum + vertex.tasks);
    let Lack { slots, stuck } = lack(&job(JobState::Running, all), vertices, held);
    (slots, stuck)
}

#[test]
fn a_job_lacks_the_widest_vertex_of_each_group() {
    let a = Some("a");
    let word_count =
        [vertex(a, 1, tasks(1, 0, 0)), vertex(a, 3, tasks(3, 0, 0)), vertex(a, 3, tasks(3, 0, 0))];
    assert_eq!(lacking(&word_count, Some(0)), (3, 0));
    assert_eq!(lacking(&word_count, Some(2)), (1, 0), "the JobManager holds two for it");
    assert_eq!(lacking(&word_count, Some(3)), (0, 3), "deployed at once, or not known well enough");
    let two = [vertex(a, 2, tasks(2, 0, 0)), vertex(Some("b"), 3, tasks(3, 0, 0))];
    assert_eq!(lacking(&two, Some(0)), (5, 0));
    let unknown = [vertex(None, 2, tasks(2, 0, 0)), vertex(None, 3, tasks(3, 0, 0))];
    assert_eq!(lacking(&unknown, Some(0)), (3, 0));
}

#[test]
fn a_part_that_is_started_again_lacks_only_itself() {
    let a = Some("a");
    let lost = [vertex(a, 3, tasks(1, 2, 0)), vertex(a, 3, tasks(1, 2, 0))];
    assert_eq!((lacking(&lost, Some(2)), lacking(&lost, None)), ((1, 0), (1, 0)));
    // The second stage of a batch job runs where the first one ran.
    let batch = [vertex(a, 4, tasks(0, 0, 4)), vertex(Some("b"), 2, tasks(2, 0, 0))];
    assert_eq!(lacking(&batch, Some(4)), (0, 2));
    assert_eq!(lacking(&batch, Some(1)), (1, 0));
}

#[test]
fn as_long_as_all_tasks_wait_what_flink_remembers_of_them_does_not_matter() {
    let now = job(JobState::Running, tasks(5, 0, 0));
    let created = TaskCounts { created: 3, ..TaskCounts::default() };
    let before = [vertex(None, 3, created), vertex(None, 2, TaskCounts { created: 2, ..created })];
    assert_eq!(lack(&now, &before, Some(0)).slots, 3);
    // Batch jobs may leave the choice to Flink.
    assert_eq!(lack(&now, &[vertex(None, -1, created)], Some(0)).slots, 0);
}

#[test]
fn who_waits_is_told_from_who_may() {
    use JobState::*;
    let none = TaskCounts::default();
    let created = TaskCounts { created: 2, ..none };
    for (state, tasks, waiting, unclear) in [
        (Initializing, none, false, true),
        (Created, created, false, true),
        (Created, none, true, false),
        (Running, tasks(2, 0, 0), true, false),
        (Running, tasks(1, 4, 0), true, false),
        (Running, tasks(0, 4, 1), false, false),
        (Running, created, false, false),
        (Restarting, none, false, false),
        (Failed, tasks(2, 0, 0), false, false),
    ] {
        let job = job(state, tasks);
        assert_eq!((waits(&job), is_unclear(&job)), (waiting, unclear), "{state:?} {tasks:?}");
    }
}

#[test]
fn what_is_free_is_no_demand() {
    let lacks = [Lack { slots: 3, stuck: 0 }, Lack { slots: 0, stuck: 2 }, Lack { slots: 1, stuck: 0 }];
    let of = |free| {
        let demand = Demand::of(&lacks, free);
        (demand.jobs, demand.slots, demand.stuck)
    };
    assert_eq!([of(0), of(1), of(4), of(9)], [(2, 4, 2), (2, 3, 0), (0, 0, 0), (0, 0, 0)]);
}

const NONE: Fleet = Fleet { pinned: 0, most: 8, wanted: 0, coming: 0, slots: 2 };

#[test]
fn a_fleet_grows_by_what_is_not_on_its_way_already() {
    for (fleet, missing, expected) in [
        (NONE, 0, 0),
        (NONE, 1, 1),
        (NONE, 3, 2),
        (NONE, 99, 8),
        (Fleet { wanted: 2, coming: 2, ..NONE }, 3, 2),
        (Fleet { wanted: 2, coming: 1, ..NONE }, 3, 3),
        (Fleet { wanted: 2, coming: 2, ..NONE }, 5, 3),
        (Fleet { pinned: 3, most: 3, wanted: 3, ..NONE }, 5, 3),
        (Fleet { slots: 0, ..NONE }, 2, 2),
        (Fleet { most: u32::MAX, wanted: u32::MAX - 1, ..NONE }, u32::MAX, u32::MAX),
    ] {
        assert_eq!(fleet.grown(missing), expected, "{fleet:?} and {missing}");
    }
}

#[test]
fn a_fleet_shrinks_to_what_is_pinned() {
    let fleet = Fleet { pinned: 1, wanted: 4, ..NONE };
    assert_eq!([0, 1, 3, 9].map(|unused| fleet.shrunk(unused)), [4, 3, 1, 1]);
}

fn fleets() -> impl Strategy<Value = Fleet> {
    (0..20u32, 0..20u32, 0..20u32, 0..20u32, 0..5u32).prop_map(|(pinned, above, extra, coming, slots)| {
        let (most, wanted) = (pinned + above, pinned + extra.min(above));
        Fleet { pinned, most, wanted, coming: coming.min(wanted), slots }
    })
}

proptest! {
    #[test]
    fn there_are_never_fewer_than_pinned_nor_more_than_the_most(fleet in fleets(), n in 0..200u32) {
        for wanted in [fleet.grown(n), fleet.shrunk(n)] {
            prop_assert!((fleet.pinned..=fleet.most).contains(&wanted));
        }
    }

    #[test]
    fn demand_takes_nothing_away_and_more_of_it_brings_no_fewer(fleet in fleets(), a in 0..200u32, b in 0..200u32) {
        prop_assert!(fleet.grown(a) >= fleet.wanted);
        prop_assert!(fleet.grown(a.min(b)) <= fleet.grown(a.max(b)));
        // What was asked for on its account is on its way: the same demand brings no more.
        let more = fleet.grown(a) - fleet.wanted;
        let then = Fleet { wanted: fleet.wanted + more, coming: fleet.coming + more, ..fleet };
        prop_assert_eq!(then.grown(a), then.wanted);
    }

    #[test]
    fn only_what_is_of_no_use_goes(fleet in fleets(), unused in 0..30u32) {
        prop_assert!(fleet.wanted - fleet.shrunk(unused) <= unused);
    }

    #[test]
    fn any_tasks_lack_no_more_than_all_of_them(
        counts in prop::collection::vec((0..3u8, -1..9i64, 0..9u32, 0..9u32, 0..9u32), 0..6), held in 0..20u32,
    ) {
        let vertices: Vec<_> = counts
            .iter()
            .map(|(group, p, scheduled, running, finished)| {
                vertex(Some(&group.to_string()), *p, tasks(*scheduled, *running, *finished))
            })
            .collect();
        let most: u32 = counts.iter().map(|(_, p, scheduled, running, _)| (*p).max(0) as u32 + scheduled + running).sum();
        let (slots, stuck) = lacking(&vertices, Some(held));
        prop_assert!(slots <= most.saturating_sub(held) && stuck <= most);
        prop_assert!(slots == 0 || stuck == 0);
    }
}
