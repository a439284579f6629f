//! Rows 28 and 29: containers that YARN ends, and processes that do not start.

use kobel_kit::Flink;

use super::{lab, nothing_left, said, shared, start_with};

#[test]
fn why_a_container_ended_is_told_truly() {
    let (Some(flink), Some((_turn, cluster))) = (Flink::v1(), shared()) else { return };
    let lab = lab(&cluster, "launches", &flink);
    // More than the container has, and none of it heap, which is limited.
    let greedy = "env.java.opts.taskmanager=-XX:+AlwaysPreTouch -XX:-SegmentedCodeCache \
                  -XX:InitialCodeCacheSize=1500m -XX:ReservedCodeCacheSize=1600m";
    let done = lab.kobel(&start_with(&["--tm", "1", "-D", greedy])).expect(7);
    assert!(done.stderr.contains("killed for its memory"), "{}", said(&done));
    println!("row 28: over its memory: given up after {:?}: {}", done.took, said(&done));
    nothing_left(&cluster, &lab);

    let broken = "env.java.opts.taskmanager=-XX:MaxMetaspaceSize=foo";
    let done = lab.kobel(&start_with(&["--tm", "1", "-D", broken])).expect(7);
    assert!(done.stderr.contains("MaxMetaspaceSize"), "{}", said(&done));
    println!("row 29: a JVM that exits with 1: given up after {:?}: {}", done.took, said(&done));
    nothing_left(&cluster, &lab);
}
