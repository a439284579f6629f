//! `kobel events`.

use std::process::ExitCode;

use kobel_conf::Category;
use kobel_plan::ClusterEvent;
use kobel_session::{Cluster, timeline::Timeline};

use super::growing;
use crate::{
    args::{EventsArgs, Format},
    context::Ctx,
    failure::Failure,
    render::{Events, json_line, print},
};

/// Shows the timeline, and goes on with it if asked to.
pub(crate) async fn run(ctx: &Ctx, args: EventsArgs) -> Result<ExitCode, Failure> {
    let context = ctx.session()?;
    // Reading needs no agent; to follow a cluster without one would be in vain.
    let cluster = match args.follow {
        true => context.find(Some(&args.name)).await?,
        false => context.look_for(&args.name).await?,
    };
    cluster.refresh().await?;
    let mut timeline = Timeline::of(&cluster.dir);
    if args.follow {
        let over = async || {
            cluster.refresh().await?;
            Ok(!cluster.agent_lives()?)
        };
        let show = || show(ctx, added(&mut timeline, &cluster)?, args.output.format);
        return growing::follow(ctx, over, show).await;
    }
    let list = added(&mut timeline, &cluster)?;
    print(&ctx.ui, &Events { list }, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

/// Events as they come have no frame: JSON is a line each.
fn show(ctx: &Ctx, list: Vec<ClusterEvent>, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => list.iter().try_for_each(|event| {
            ctx.ui.data(json_line(event)?.as_bytes());
            Ok(())
        }),
        _ if list.is_empty() => Ok(()),
        Format::Table | Format::Wide => {
            ctx.ui.data(Events { list }.lines().as_bytes());
            Ok(())
        }
        format => print(&ctx.ui, &Events { list }, format),
    }
}

/// What was written to the timeline since the last time.
pub(super) fn added(timeline: &mut Timeline, cluster: &Cluster) -> Result<Vec<ClusterEvent>, Failure> {
    timeline.added().map_err(|e| {
        let file = cluster.dir.events();
        Failure::new(Category::Environment, format!("cannot read {}", file.display())).because(&e)
    })
}
