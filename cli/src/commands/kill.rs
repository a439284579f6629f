//! `kobel kill`.

use std::{process::ExitCode, time::Duration};

use kobel_plan::api::{StopCause, StopRequest};

use crate::{args::KillArgs, context::Ctx, failure::Failure};

/// Ends a cluster without grace.
pub(crate) async fn run(ctx: &Ctx, args: KillArgs) -> Result<ExitCode, Failure> {
    super::stop::end(ctx, &args.name, StopRequest::new(StopCause::Kill, Duration::ZERO)).await
}
