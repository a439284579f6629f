//! `yarn-session.sh -q`: what YARN has to give.

use std::process::ExitCode;

use crate::{commands, context::Ctx, failure::Failure};

/// Prints the nodes, their sum, and the queues, in the order of Flink's own script.
pub(in crate::compat) async fn run(ctx: &Ctx) -> Result<ExitCode, Failure> {
    let capacity = commands::capacity(ctx).await?;
    let (memory, cores) = (capacity.total.memory_mib.total, capacity.total.cores.total);
    ctx.ui.data(capacity.nodes_table(false).as_bytes());
    ctx.ui.line(format_args!("Summary: totalMemory {memory} MB totalCores {cores}"));
    ctx.ui.data(capacity.queues_table().as_bytes());
    Ok(ExitCode::SUCCESS)
}
