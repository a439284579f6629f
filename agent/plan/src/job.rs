//! The one job of a per-job cluster: what is to be run, and what became of it.

use std::{fmt, path::PathBuf};

use kobel_conf::flink::secret::{HIDDEN, is_secret};
use serde::{Deserialize, Serialize};

use crate::ids::JobId;

/// A job that has a cluster of its own. Its program's `main` runs in the JobManager.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobPlan {
    /// The job's id, chosen before it runs: whoever leads, it is the same job.
    pub id: JobId,
    /// The program's jar, where every JobManager finds it.
    pub jar: PathBuf,
    /// The program's class; the one in the jar's manifest if none is named.
    #[serde(default)]
    pub class: Option<String>,
    /// What its `main` is given.
    #[serde(default)]
    pub args: Vec<String>,
    /// The state that it starts with.
    #[serde(default)]
    pub restore: Option<Restore>,
}

impl JobPlan {
    /// The directory in which Flink looks for a program by itself (`ConfigConstants.DEFAULT_FLINK_USR_LIB_DIR`).
    pub const DIR: &'static str = "usrlib";

    /// The jar, alone in that, where JobManagers find it: in the cluster's directory, on YARN in the container's.
    pub const JAR: &'static str = "usrlib/program.jar";

    /// Hides what the program is given as the value of something secret: `--password x`, `--token=y`.
    pub(crate) fn hide_secrets(&mut self) {
        let mut is_value = false;
        for arg in &mut self.args {
            let named = arg.starts_with('-') && is_secret(arg.split('=').next().unwrap_or(arg));
            match arg.split_once('=') {
                Some((name, _)) if named => *arg = format!("{name}={HIDDEN}"),
                _ if is_value && !arg.starts_with('-') => *arg = HIDDEN.into(),
                _ => {}
            }
            is_value = named && !arg.contains('=');
        }
    }
}

/// What a program is given may be a password.
impl fmt::Debug for JobPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, jar, class, args, restore } = self;
        write!(f, "JobPlan({id}, {jar:?}, {class:?}, {} arguments, {restore:?})", args.len())
    }
}

/// A savepoint or checkpoint that a job starts from. It stays the user's: of claim modes Flink's entry point knows
/// nothing but its own choice, which is [`ClaimMode::NoClaim`], and writes that over what is configured
/// (`SavepointRestoreSettings.toConfiguration`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// Where it is.
    pub path: String,
    /// Whether state that the program no longer has is left out.
    #[serde(default)]
    pub allow_non_restored: bool,
}

/// How a savepoint is taken over (`org.apache.flink.core.execution.RecoveryClaimMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClaimMode {
    /// The job owns it and deletes it when it is superseded.
    Claim,
    /// The job leaves it alone.
    NoClaim,
    /// The job builds on it and never deletes it; gone in Flink 2.
    Legacy,
}

/// Where a job stands (`org.apache.flink.api.common.JobStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobState {
    /// Accepted; its JobMaster is being set up.
    Initializing,
    /// Accepted; nothing runs yet.
    Created,
    /// Runs.
    Running,
    /// A task failed, the others are being cancelled.
    Failing,
    /// Ended by a fault; terminal.
    Failed,
    /// Being cancelled.
    Cancelling,
    /// Cancelled; terminal.
    Canceled,
    /// Ended well; terminal.
    Finished,
    /// Being started again after a fault.
    Restarting,
    /// Left to another JobManager; terminal for this one only.
    Suspended,
    /// The requirements of its resources are being reconciled.
    Reconciling,
    /// A state of a Flink newer than this code.
    #[serde(other)]
    Other,
}

impl fmt::Display for JobState {
    /// As Flink writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            JobState::Initializing => "INITIALIZING",
            JobState::Created => "CREATED",
            JobState::Running => "RUNNING",
            JobState::Failing => "FAILING",
            JobState::Failed => "FAILED",
            JobState::Cancelling => "CANCELLING",
            JobState::Canceled => "CANCELED",
            JobState::Finished => "FINISHED",
            JobState::Restarting => "RESTARTING",
            JobState::Suspended => "SUSPENDED",
            JobState::Reconciling => "RECONCILING",
            JobState::Other => "OTHER",
        })
    }
}

impl JobState {
    /// Whether the job is over, everywhere (`JobStatus.isGloballyTerminalState`).
    pub fn is_terminal(self) -> bool {
        matches!(self, JobState::Failed | JobState::Canceled | JobState::Finished)
    }
}

/// A Java exception, as a person reads it and as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The line that says why.
    pub cause: String,
    /// The whole trace.
    pub trace: String,
}

/// What became of the job of a per-job cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// The job's id.
    pub id: JobId,
    /// Where it stands; null until a JobManager knows it.
    pub state: Option<JobState>,
    /// Flink's "Job Runtime" in milliseconds, once it is over and where Flink told.
    pub runtime_ms: Option<u64>,
    /// What failed it.
    pub failure: Option<Failure>,
    /// Whether its program has more jobs, which a cluster of its own does not run: the program failed, whatever became
    /// of this one.
    #[serde(default)]
    pub of_several: bool,
}

impl JobStatus {
    /// A job that no JobManager knows yet.
    pub fn planned(job: &JobPlan) -> Self {
        Self { id: job.id, state: None, runtime_ms: None, failure: None, of_several: false }
    }

    /// Whether it is over: nothing may run it again.
    pub fn is_over(&self) -> bool {
        self.state.is_some_and(JobState::is_terminal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_is_given_is_not_shown_where_it_is_secret() {
        let args = ["--input", "a", "--password", "x", "--db.token=y", "--password", "--output", "b"];
        let args = args.map(String::from).to_vec();
        let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let mut job = JobPlan { id, jar: "j.jar".into(), class: None, args, restore: None };
        job.hide_secrets();
        assert_eq!(
            job.args.join(" "),
            "--input a --password HIDDEN --db.token=HIDDEN --password --output b".replace("HIDDEN", HIDDEN)
        );
        assert!(!format!("{job:?}").contains("--input"));
    }
}
