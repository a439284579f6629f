//! `kobel status`.

use std::process::ExitCode;

use jiff::Timestamp;
use kobel_plan::{ClusterState, Role, Status};
use kobel_session::logs::{self, LogFile, Source, Stream, Which};

use crate::{
    args::{Format, StatusArgs},
    context::Ctx,
    failure::Failure,
    render::{StatusView, print},
};

/// How many log lines the view ends with.
const LINES: usize = 10;

/// The exit code for a cluster that exists but is not ready; `systemctl status` has the same.
const NOT_READY: u8 = 3;

/// Shows one cluster.
pub(crate) async fn run(ctx: &Ctx, args: StatusArgs) -> Result<ExitCode, Failure> {
    let status = ctx.session()?.find(Some(&args.name)).await?.status().await?;
    let log = match args.output.format {
        Format::Table | Format::Wide => last_lines(&status),
        _ => Vec::new(),
    };
    let ready = status.state == ClusterState::Ready;
    print(&ctx.ui, &StatusView { status, log, now: Timestamp::now() }, args.output.format)?;
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::from(NOT_READY) })
}

/// The log that explains a failed cluster, the leading JobManager's of any other. A log that cannot be read
/// is no reason to hide the status.
fn last_lines(status: &Status) -> Vec<String> {
    if status.state == ClusterState::Failed {
        let text = logs::explaining(&status.log_dir, status.reason.as_deref());
        return text.unwrap_or_default().lines().map(str::to_string).collect();
    }
    let files = logs::list(&status.log_dir, Which::Role(Role::JobManager)).unwrap_or_default();
    let leader = status.masters.iter().find(|master| master.leader).map(|master| master.id);
    let is_leaders = |file: &LogFile| matches!(file.source, Source::Worker(id, _) if Some(id) == leader);
    let mut of_jms = files.iter().filter(|file| file.stream == Stream::Log);
    let newest = of_jms.clone().rfind(|file| is_leaders(file)).or_else(|| of_jms.next_back());
    newest.and_then(|file| logs::tail(&file.path, LINES).ok()).map(|(lines, _)| lines).unwrap_or_default()
}
