//! `kobel scale`.

use std::{ops::ControlFlow, process::ExitCode};

use kobel_conf::Category;
use kobel_plan::{ClusterState, Status, api::ScaleRequest};
use kobel_session::Control;

use super::{
    news::{self, plural},
    wait::{failed_end, within},
};
use crate::{args::ScaleArgs, context::Ctx, failure::Failure, ui::Signals};

/// Changes the number of TaskManagers, and waits until it is so.
pub(crate) async fn run(ctx: &Ctx, args: ScaleArgs) -> Result<ExitCode, Failure> {
    let cluster = ctx.session()?.find(Some(&args.name)).await?;
    let before = cluster.status().await?;
    if before.state.is_terminal() {
        return Err(failed_end(&before));
    }
    let mut signals = Signals::catch()?;
    let progress = ctx.ui.progress();
    Control::open(&cluster.dir)?.scale(ScaleRequest::TaskManagersTo(args.tm)).await?;
    let waiting = async {
        news::follow(&cluster, |status| {
            progress.now(news::line(status));
            verdict(status, args.tm).map_or(ControlFlow::Continue(()), ControlFlow::Break)
        })
        .await?
    };
    let too_late = || {
        let what = format!("cluster {} has not {} TaskManagers yet", args.name, args.tm);
        Failure::new(Category::Timeout, what).hint(format!("kobel status {}", args.name))
    };
    let extra = tokio::select! {
        done = within(args.timeout, waiting, too_late) => done?,
        caught = signals.next() => return Ok(caught.exit_code()),
    };
    drop(progress);
    let managers = plural(args.tm as usize, "TaskManager", "TaskManagers");
    let from = before.task_managers.pinned;
    ctx.ui.note(format_args!(
        "cluster {} has {} {managers}{} (wanted before: {from})",
        args.name,
        args.tm,
        for_jobs(extra)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Whether so many run and no more than jobs need beyond those, how many these are; or that it will never be so.
fn verdict(status: &Status, goal: u32) -> Option<Result<u32, Failure>> {
    if status.state.is_terminal() || news::is_abandoned(status) {
        return Some(Err(failed_end(status)));
    }
    let tms = &status.task_managers;
    // Those that are leaving are in the list until they are gone.
    let so = tms.pinned == goal && tms.running >= goal && tms.list.len() <= tms.wanted as usize;
    (so && status.state == ClusterState::Ready).then(|| Ok(tms.wanted.saturating_sub(goal)))
}

/// Those that stay for as long as jobs need them.
fn for_jobs(extra: u32) -> String {
    match extra {
        0 => String::new(),
        extra => format!(", and {extra} more while jobs need them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::status::tests::ready;

    #[test]
    fn scaling_is_done_when_so_many_run_and_no_more() {
        let told = |status: &Status, goal| verdict(status, goal).map(|verdict| verdict.ok());
        let mut status = ready();
        assert_eq!(told(&status, 2), Some(Some(0)));
        assert_eq!(told(&status, 3), None, "not asked for yet");
        let tms = &mut status.task_managers;
        (tms.pinned, tms.wanted, tms.running) = (1, 1, 1);
        assert_eq!(told(&status, 1), None, "one is still leaving");
        status.task_managers.wanted = 2;
        assert_eq!(told(&status, 1), Some(Some(1)), "a job needs it");
        (status.task_managers.wanted, status.task_managers.list) = (1, vec![]);
        assert_eq!(told(&status, 1), Some(Some(0)));
        status.log_dir = "/nowhere".into();
        status.state = ClusterState::Failed;
        assert_eq!(told(&status, 1), Some(None));
    }
}
