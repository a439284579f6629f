//! `yarn-session.sh -q`: what YARN has to give.

use std::process::ExitCode;

use kobel_session::{
    FlinkChoice,
    yarn::{Site, manager::QueueUse},
};

use super::configuration;
use crate::{context::Ctx, failure::Failure, render::Table};

/// Prints the nodes, their sum, and the queues.
pub(super) async fn run(ctx: &Ctx) -> Result<ExitCode, Failure> {
    let context = ctx.session()?;
    let conf = configuration(&context, &FlinkChoice::Default);
    let site = Site::find(&context.env, |key| conf.get_str(key))?;
    let manager = site.managers(context.settings.yarn_api.value).open(&site.user)?;
    let nodes = manager.nodes().await?;
    let mut table =
        Table::new(&["NODE", "STATE", "MEMORY", "FREE", "VCORES", "FREE", "CONTAINERS", "HEALTH"]);
    let (mut memory, mut cores) = (0, 0);
    for node in nodes {
        let (of, used) = (&node.capacity, &node.used);
        // The others start nothing.
        if node.state.name() == "RUNNING" {
            memory += of.memory_mib;
            cores += of.vcores;
        }
        table.row([
            node.node.to_string(),
            node.state.name().into(),
            format!("{} MB", of.memory_mib),
            format!("{} MB", of.memory_mib - used.memory_mib),
            of.vcores.to_string(),
            (of.vcores - used.vcores).to_string(),
            node.containers.to_string(),
            node.health,
        ]);
    }
    ctx.ui.data(table.text().as_bytes());
    ctx.ui.line(format_args!("Summary: totalMemory {memory} MB totalCores {cores}"));
    ctx.ui.data(queues(&manager.queues().await?).as_bytes());
    Ok(ExitCode::SUCCESS)
}

fn queues(queues: &[QueueUse]) -> String {
    if queues.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["QUEUE", "STATE", "USED", "VCORES", "MAX", "WAITING"]);
    for queue in queues {
        let max = match (&queue.max, queue.max_percent) {
            (Some(max), _) => format!("{} MB", max.memory_mib),
            (None, Some(percent)) => format!("{percent:.0}%"),
            (None, None) => String::new(),
        };
        table.row([
            queue.path.clone(),
            queue.state.name().into(),
            format!("{} MB", queue.used.memory_mib),
            queue.used.vcores.to_string(),
            max,
            queue.pending.to_string(),
        ]);
    }
    table.text()
}
