//! `kobel logs`.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::File,
    io,
    io::Read,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use kobel_conf::Category;
use kobel_plan::{Role, WorkerId};
use kobel_session::{
    logs::{self, Growing, LogFile, Which},
    yarn::LogsError,
};

use super::growing;
use crate::{
    args::{LogSource, LogsArgs},
    context::Ctx,
    failure::Failure,
    ui::Ui,
};

/// Between two looks at the logs on YARN's nodes.
const FETCH: Duration = Duration::from_secs(1);

/// Shows logs, and what is added to them.
pub(crate) async fn run(ctx: &Ctx, args: LogsArgs) -> Result<ExitCode, Failure> {
    let cluster = ctx.session()?.look_for(&args.name).await?;
    let log_dir = cluster.plan()?.log_dir;
    let fetched = cluster.fetch_logs().await;
    let which = which(&args.source);
    let unreadable = |e: io::Error| {
        Failure::new(Category::Environment, format!("cannot read the logs in {}", log_dir.display()))
            .because(&e)
    };
    let listed = logs::list(&log_dir, which).map_err(unreadable)?;
    match fetched {
        // What was copied while it ran is better than nothing.
        Err(error @ LogsError::Collected(_)) if !listed.is_empty() => ctx.ui.failure(&error.into()),
        fetched => fetched?,
    }
    let mut shown = Shown { ui: &ctx.ui, headed: args.follow || with_content(&listed) > 1, last: None };
    let tail = args.tail.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let mut files = BTreeMap::new();
    for file in listed {
        let end = shown.existing(&file, tail).map_err(unreadable)?;
        files.insert(file.clone(), Growing::from_offset(file.path, end));
    }
    if !args.follow {
        if files.is_empty() {
            ctx.ui.note(format_args!("no such logs in {}", log_dir.display()));
            if let Some(yarn) = cluster.status().await?.yarn {
                let id = yarn.application_id;
                ctx.ui.note(format_args!("YARN may have collected them: yarn logs -applicationId {id}"));
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let fetched = Cell::new(Instant::now());
    let over = async || {
        if cluster.is_on_yarn() && fetched.get().elapsed() >= FETCH {
            // A node that does not answer now may do so the next time.
            if let Err(error) = cluster.fetch_logs().await {
                tracing::info!(
                    error = &error as &dyn std::error::Error,
                    "the nodes' logs were not all fetched"
                );
            }
            fetched.set(Instant::now());
        }
        Ok(!cluster.agent_lives()? && cluster.status().await?.state.is_terminal())
    };
    let show = || shown.added(&mut files, &log_dir, which).map_err(unreadable);
    growing::follow(ctx, over, show).await
}

fn which(source: &LogSource) -> Which {
    match source {
        LogSource { jm: true, .. } => Which::Role(Role::JobManager),
        LogSource { tm: Some(index), .. } => Which::Worker(WorkerId::tm(*index)),
        LogSource { agent: true, .. } => Which::Agent,
        LogSource { all: true, .. } => Which::All,
        _ => Which::Latest,
    }
}

/// How many of the files are not empty.
fn with_content(files: &[LogFile]) -> usize {
    files.iter().filter(|file| std::fs::metadata(&file.path).is_ok_and(|m| m.len() > 0)).count()
}

/// What was shown so far, so that each change of file is told, as `tail -f` does.
struct Shown<'a> {
    ui: &'a Ui,
    /// Whether to tell files apart at all.
    headed: bool,
    last: Option<LogFile>,
}

impl Shown<'_> {
    /// Shows what is in the file, or its last lines; returns how far that was.
    fn existing(&mut self, file: &LogFile, tail: Option<usize>) -> io::Result<u64> {
        match tail {
            Some(lines) => {
                let (lines, end) = logs::tail(&file.path, lines)?;
                self.lines(file, &lines);
                Ok(end)
            }
            None => self.all(file),
        }
    }

    fn all(&mut self, file: &LogFile) -> io::Result<u64> {
        let mut reader = File::open(&file.path)?;
        let (mut end, mut block) = (0, vec![0; 64 << 10]);
        while !self.ui.stdout_is_gone() {
            match reader.read(&mut block)? {
                0 => break,
                n => {
                    self.header(file);
                    self.ui.data(&block[..n]);
                    end += n as u64;
                }
            }
        }
        Ok(end)
    }

    /// Shows what was added to the files, and files that are new.
    fn added(
        &mut self,
        files: &mut BTreeMap<LogFile, Growing>,
        log_dir: &Path,
        which: Which,
    ) -> io::Result<()> {
        for file in logs::list(log_dir, which)? {
            let path = file.path.clone();
            files.entry(file).or_insert_with(|| Growing::from_offset(path, 0));
        }
        for (file, growing) in files {
            self.lines(file, &growing.poll()?);
        }
        Ok(())
    }

    fn lines(&mut self, file: &LogFile, lines: &[String]) {
        if !lines.is_empty() {
            self.header(file);
            self.ui.data((lines.join("\n") + "\n").as_bytes());
        }
    }

    fn header(&mut self, file: &LogFile) {
        if self.headed && self.last.as_ref() != Some(file) {
            let gap = if self.last.is_some() { "\n" } else { "" };
            self.ui.line(format_args!("{gap}==> {} <==", file.name()));
            self.last = Some(file.clone());
        }
    }
}
