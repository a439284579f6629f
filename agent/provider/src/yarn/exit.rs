//! Why a container is over, in the words that every provider uses.

use kobel_hadoop_rpc::yarn::{Completed, ContainerExit};
use kobel_plan::Exit;

/// The true cause as far as YARN tells it.
pub(super) fn of_container(completed: &Completed) -> Exit {
    let told = || match completed.diagnostics.trim() {
        "" => completed.exit.to_string(),
        diagnostics => diagnostics.to_string(),
    };
    match completed.exit {
        ContainerExit::Code(code) => completed.exit.signal().map_or(Exit::Code(code), Exit::Signal),
        ContainerExit::OverMemory | ContainerExit::OverVirtualMemory => Exit::OutOfMemory,
        ContainerExit::Preempted => Exit::Preempted,
        // -100 without our asking: the ResourceManager lost the node. The process may be alive.
        ContainerExit::Aborted | ContainerExit::Lost => Exit::NodeLost,
        ContainerExit::NeverLaunched => Exit::LaunchFailed { diagnostics: told() },
        _ => Exit::Unknown(told()),
    }
}
