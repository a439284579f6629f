//! `kobel attach`, and the rest of `kobel start --attach`.

use std::{ops::ControlFlow, process::ExitCode};

use kobel_plan::ClusterState;
use kobel_session::Cluster;

use super::{news, wait::failed_end};
use crate::{args::AttachArgs, context::Ctx, failure::Failure, ui::Signals};

/// Follows a cluster.
pub(crate) async fn run(ctx: &Ctx, args: AttachArgs) -> Result<ExitCode, Failure> {
    let cluster = ctx.session()?.find(Some(&args.name)).await?;
    attach(ctx, &cluster, &mut Signals::catch()?).await
}

/// Follows the cluster until it is over or the person leaves, which leaves it running.
pub(super) async fn attach(ctx: &Ctx, cluster: &Cluster, signals: &mut Signals) -> Result<ExitCode, Failure> {
    let name = &cluster.name;
    ctx.ui.note(format_args!("attached to {name}; Ctrl-C leaves it running"));
    let progress = ctx.ui.progress();
    let over = news::follow(cluster, |status| {
        progress.now(news::line(status));
        let over = status.state.is_terminal() || news::is_abandoned(status);
        if over { ControlFlow::Break(status.clone()) } else { ControlFlow::Continue(()) }
    });
    tokio::select! {
        over = over => match over? {
            status if status.state == ClusterState::Stopped => Ok(ExitCode::SUCCESS),
            status => Err(failed_end(&status)),
        },
        caught = signals.next() => {
            progress.aside(|| ctx.ui.note(format_args!("{name} goes on; stop it with: kobel stop {name}")));
            Ok(caught.exit_code())
        }
    }
}
