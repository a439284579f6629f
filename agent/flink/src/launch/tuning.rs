//! What makes a JVM start quicker at no cost later.

use kobel_plan::Role;

use super::Worker;

/// When C2 compiles a method of the JobManager: ten times HotSpot's own thresholds. While Flink starts,
/// C2 takes the cores that C1 and the program need. Not for TaskManagers: there a job of ten seconds
/// took a tenth longer by them.
const COMPILER: [&str; 4] = [
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
];

/// Up to this size in bytes of the whole process a JobManager's heap is collected in no time by one
/// thread, and starting G1's is not worth it.
const SMALL: u64 = 2 << 30;

/// Variables by which a JVM takes options; two collectors keep it from starting.
const VARIABLES: [&str; 3] = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];

/// Options to stand before the plan's, which win over them.
pub(super) fn options(worker: &Worker<'_>) -> Vec<String> {
    if worker.id.role == Role::TaskManager {
        return Vec::new();
    }
    let mut options = COMPILER.map(String::from).to_vec();
    if worker.role.process_bytes <= SMALL && !may_name_collector(worker) {
        options.push("-XX:+UseSerialGC".into());
    }
    options
}

/// Whether the user's options name a collector, or stand where they are not seen.
fn may_name_collector(worker: &Worker<'_>) -> bool {
    let names = |arg: &String| {
        let switch = arg.starts_with("-XX:+Use") && arg.ends_with("GC");
        let unseen = ["@", "-XX:Flags=", "-XX:VMOptionsFile="].iter().any(|start| arg.starts_with(start));
        // The options of G1, which it alone takes, are the choice of it.
        switch || unseen || arg.starts_with("-XX:G1")
    };
    worker.role.jvm_args.iter().any(names) || VARIABLES.iter().any(|name| worker.role.env.contains_key(*name))
}
