//! `kobel events`.

use std::{process::ExitCode, time::Duration};

use kobel_conf::Category;
use kobel_plan::ClusterEvent;
use kobel_session::{Cluster, timeline::Timeline};
use tokio::time::MissedTickBehavior;

use crate::{
    args::{EventsArgs, Format},
    context::Ctx,
    failure::Failure,
    render::{Events, json_line, print},
    ui::Signals,
};

/// Between two looks at a timeline that is followed.
const LOOK: Duration = Duration::from_millis(200);

/// Shows the timeline, and goes on with it if asked to.
pub(crate) async fn run(ctx: &Ctx, args: EventsArgs) -> Result<ExitCode, Failure> {
    let context = ctx.session()?;
    // Reading needs no agent; to follow a cluster without one would be in vain.
    let cluster = match args.follow {
        true => context.find(Some(&args.name)).await?,
        false => context.registry().find(&args.name)?,
    };
    let mut timeline = Timeline::of(&cluster.dir);
    if args.follow {
        return follow(ctx, &cluster, timeline, args.output.format).await;
    }
    let list = added(&mut timeline, &cluster)?;
    print(&ctx.ui, &Events { list }, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

async fn follow(
    ctx: &Ctx,
    cluster: &Cluster,
    mut timeline: Timeline,
    format: Format,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::catch()?;
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !ctx.ui.stdout_is_gone() {
        tokio::select! {
            caught = signals.next() => return Ok(caught.exit_code()),
            _ = tick.tick() => {}
        }
        // Asked first: what was written before the end is read after it.
        let over = !cluster.agent_lives()?;
        let list = added(&mut timeline, cluster)?;
        show(ctx, list, format)?;
        if over {
            break;
        }
    }
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

fn added(timeline: &mut Timeline, cluster: &Cluster) -> Result<Vec<ClusterEvent>, Failure> {
    timeline.added().map_err(|e| {
        let file = cluster.dir.events();
        Failure::new(Category::Environment, format!("cannot read {}", file.display())).because(&e)
    })
}
