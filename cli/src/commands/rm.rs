//! `kobel rm`.

use std::process::ExitCode;

use crate::{args::RmArgs, context::Ctx, failure::Failure};

/// Forgets clusters that are over.
pub(crate) async fn run(ctx: &Ctx, args: RmArgs) -> Result<ExitCode, Failure> {
    let registry = ctx.session()?.registry();
    for name in &args.names {
        let cluster = registry.find(name)?;
        // It may be over without anybody here having noticed.
        cluster.refresh().await?;
        if let Err(error) = cluster.sweep().await {
            ctx.ui.warn(format_args!("something of {name} is left on HDFS: {error}"));
        }
        registry.remove(&cluster)?;
        ctx.ui.note(format_args!("forgot cluster {name}"));
    }
    Ok(ExitCode::SUCCESS)
}
