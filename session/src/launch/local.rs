//! Starting an agent as a background process of this machine.

use std::{fs::File, os::unix::fs::PermissionsExt, path::Path, process::Stdio, time::Duration};

use kobel_conf::dirs::ensure_private;
use kobel_plan::{ClusterName, ClusterPlan};
use serde::{Deserialize, de::IgnoredAny};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::Instant,
};

use super::{LISTEN, LOOK, LaunchError};
use crate::{
    control::Control,
    fsx, logs,
    registry::{Claim, Cluster, RegistryError},
};

/// How long an agent may take to serve its socket: it reads its plan and binds, nothing else.
const READY: Duration = Duration::from_secs(30);
/// Longest ready line that is read.
const LINE: u64 = 64 << 10;
/// Variables that the agent gets: where it finds programs, whose it is, how it logs. Nothing else of
/// the user's shell, where secrets may be.
pub(crate) const INHERITED: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "TZ", "LANG", "KOBEL_LOG", "RUST_LOG", "RUST_BACKTRACE"];

/// The agent's first and last line on its standard output.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Said {
    Ready(IgnoredAny),
    Error(String),
}

/// Starts the agent of a new cluster and returns when it serves its socket. What fails before
/// leaves a cluster that `kobel ps` shows as failed, with its logs.
///
/// A program that is to run in the cluster is copied to where the plan has it: the user's may change.
pub async fn start(
    agent: &Path,
    claim: Claim,
    plan: &ClusterPlan,
    program: Option<&Path>,
) -> Result<Cluster, LaunchError> {
    let file_error = |path: &Path| {
        let path = path.to_path_buf();
        move |source| LaunchError::File { path, source }
    };
    logs::rotate(&plan.log_dir).map_err(file_error(&plan.log_dir))?;
    ensure_private(&plan.log_dir).map_err(RegistryError::from)?;
    if let (Some(job), Some(program)) = (&plan.job, program) {
        job.jar.parent().map_or(Ok(()), ensure_private).map_err(RegistryError::from)?;
        copy(program, &job.jar).await.map_err(file_error(&job.jar))?;
    }
    let json = serde_json::to_vec_pretty(plan)
        .map_err(|e| LaunchError::File { path: claim.dir.plan(), source: e.into() })?;
    fsx::write_whole(&claim.dir.plan(), &json).map_err(file_error(&claim.dir.plan()))?;
    let Claim { name, dir, lock } = claim;
    let cluster = Cluster { name, dir };
    spawn(agent, &cluster, lock, &plan.log_dir).await?;
    Ok(cluster)
}

/// Copies a file where that holds up nobody; what there was is replaced.
async fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let (from, to) = (from.to_path_buf(), to.to_path_buf());
    let copied = tokio::task::spawn_blocking(move || {
        std::fs::copy(&from, &to)?;
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600))
    });
    copied.await.map_err(std::io::Error::other)?
}

/// Makes sure that a cluster that is not over has an agent. One that died is started again, and takes
/// over the workers it left; one that somebody else is starting is waited for.
pub async fn revive(agent: &Path, cluster: &Cluster) -> Result<(), LaunchError> {
    if cluster.is_on_yarn() {
        // There it is YARN that starts an agent again.
        return Ok(());
    }
    if cluster.agent_lives()? || !cluster.is_unfinished()? {
        return Ok(listening(cluster).await?);
    }
    let Some(lock) = cluster.try_lock()? else { return Ok(listening(cluster).await?) };
    // Asked again under the lock: another agent may have brought the cluster to its end meanwhile.
    if !cluster.is_unfinished()? {
        return Ok(());
    }
    let plan = cluster.plan()?;
    tracing::info!(cluster = %cluster.name, "starting its agent again");
    spawn(agent, cluster, lock, &plan.log_dir).await
}

/// Waits until the agent that holds the lock serves its socket, or is gone, or has had its time.
async fn listening(cluster: &Cluster) -> Result<(), RegistryError> {
    let deadline = Instant::now() + LISTEN;
    while cluster.agent_lives()? && Instant::now() < deadline {
        if Control::open(&cluster.dir).is_ok_and(|control| control.is_heard()) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

async fn spawn(agent: &Path, cluster: &Cluster, lock: File, log_dir: &Path) -> Result<(), LaunchError> {
    let name = &cluster.name;
    let err = log_dir.join("agent.err");
    let stderr =
        fsx::private_append(&err).map_err(|source| LaunchError::File { path: err.clone(), source })?;
    let env = INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new(agent)
        .arg("agent")
        .arg(cluster.dir.path())
        .env_clear()
        .envs(env)
        .current_dir("/")
        .stdin(Stdio::from(lock))
        .stdout(Stdio::piped())
        .stderr(Stdio::from(stderr))
        .spawn()
        .map_err(|source| LaunchError::Spawn { name: name.clone(), program: agent.into(), source })?;
    let said = match child.stdout.take() {
        Some(stdout) => tokio::time::timeout(READY, first_line(stdout)).await,
        None => Ok(None),
    };
    let tail = || logs::explaining(log_dir, None);
    match said {
        Ok(Some(Said::Ready(_))) => Ok(()),
        Ok(Some(Said::Error(why))) => {
            // It goes now, and with it the lock.
            exit_of(child).await;
            Err(LaunchError::Refused { name: name.clone(), why, tail: tail() })
        }
        Ok(None) => {
            let how = exit_of(child).await;
            Err(LaunchError::Died { name: name.clone(), how, tail: tail() })
        }
        Err(_) => Err(silent(child, name, tail()).await),
    }
}

/// What the agent said; nothing when it ended first or said something else.
async fn first_line(stdout: ChildStdout) -> Option<Said> {
    let mut line = String::new();
    BufReader::new(stdout).take(LINE).read_line(&mut line).await.ok()?;
    serde_json::from_str(&line).ok()
}

async fn exit_of(mut child: Child) -> String {
    match tokio::time::timeout(Duration::from_secs(5), child.wait()).await {
        Ok(Ok(status)) => status.to_string(),
        _ => "it closed its output and goes on running".into(),
    }
}

/// An agent that does not get ready is ours to end: it has no workers yet.
async fn silent(mut child: Child, name: &ClusterName, tail: Option<String>) -> LaunchError {
    if let Err(error) = child.kill().await {
        tracing::warn!(%error, cluster = %name, "could not kill the silent agent");
    }
    LaunchError::Silent { name: name.clone(), after: READY, tail }
}
