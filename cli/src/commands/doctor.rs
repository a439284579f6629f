//! `kobel doctor`.

use std::process::ExitCode;

use kobel_conf::Category;
use kobel_session::doctor::{self, Verdict};

use crate::{
    args::DoctorArgs,
    context::Ctx,
    failure::Failure,
    render::{Checks, print},
};

/// Checks the environment; 5 if a cluster could not be started in it.
pub(crate) async fn run(ctx: &Ctx, args: DoctorArgs) -> Result<ExitCode, Failure> {
    let list = doctor::run(&ctx.session()?);
    let failed: Vec<_> = list.iter().filter(|c| c.verdict == Verdict::Fail).map(|c| c.name).collect();
    let wrong = (!failed.is_empty()).then(|| {
        let what = format!("clusters cannot be started here: {}", failed.join(", "));
        let failure = Failure::new(Category::Environment, what);
        let mend = list.iter().filter(|c| c.verdict == Verdict::Fail).find_map(|c| c.mend.clone());
        mend.into_iter().fold(failure, Failure::hint)
    });
    print(&ctx.ui, &Checks { list }, args.output.format)?;
    wrong.map_or(Ok(ExitCode::SUCCESS), Err)
}
