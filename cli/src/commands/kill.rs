//! `kobel kill`.

use std::{process::ExitCode, time::Duration};

use kobel_plan::api::StopCause;

use crate::{args::KillArgs, context::Ctx, failure::Failure};

/// Ends a cluster without grace.
pub(crate) async fn run(ctx: &Ctx, args: KillArgs) -> Result<ExitCode, Failure> {
    super::stop::end(ctx, &args.name, Duration::ZERO, StopCause::Kill).await
}
