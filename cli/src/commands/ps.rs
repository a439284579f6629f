//! `kobel ps`.

use std::process::ExitCode;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::news::is_abandoned;
use crate::{
    args::PsArgs,
    context::Ctx,
    failure::Failure,
    render::{Clusters, print},
};

/// Lists all known clusters. One that cannot be read is told, and hides none of the others.
pub(crate) async fn run(ctx: &Ctx, args: PsArgs) -> Result<ExitCode, Failure> {
    let clusters = ctx.session()?.registry().list()?;
    // All at once: one agent that hangs must not hold up the rest.
    let statuses = join_all(clusters.iter().map(|cluster| cluster.status())).await;
    let mut list = Vec::new();
    for status in statuses {
        match status {
            Ok(status) => list.push(status),
            Err(error) => ctx.ui.failure(&error.into()),
        }
    }
    for status in list.iter().filter(|status| is_abandoned(status)) {
        let name = &status.name;
        ctx.ui.note(format_args!("the agent of {name} is gone; bring it back with: kobel status {name}"));
    }
    if list.is_empty() {
        ctx.ui.note("no clusters; start one with: kobel start");
    }
    print(&ctx.ui, &Clusters { list, now: Timestamp::now() }, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}
