//! `kobel queue`.

use std::process::ExitCode;

use kobel_conf::Category;
use kobel_plan::ProviderKind;
use kobel_session::{FlinkChoice, prepare::configuration, yarn::Site};

use crate::{
    args::QueueArgs,
    context::Ctx,
    failure::Failure,
    render::{Capacity, print},
};

/// Shows what YARN has to give.
pub(crate) async fn run(ctx: &Ctx, args: QueueArgs) -> Result<ExitCode, Failure> {
    let provider = ProviderKind::from(args.provider);
    if provider != ProviderKind::Yarn {
        let what = format!("provider {provider} has no queues");
        return Err(Failure::new(Category::Usage, what).hint("kobel queue"));
    }
    print(&ctx.ui, &look(ctx).await?, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks YARN for its nodes and queues.
pub(crate) async fn look(ctx: &Ctx) -> Result<Capacity, Failure> {
    let context = ctx.session()?;
    let conf = configuration(&context, &FlinkChoice::Default);
    let site = Site::find(&context.env, |key| conf.get_str(key))?;
    let manager = site.managers(context.settings.yarn_api.value).open(&site.user)?;
    let (nodes, queues) = (manager.nodes().await?, manager.queues().await?);
    Ok(Capacity::of(&nodes, &queues))
}
