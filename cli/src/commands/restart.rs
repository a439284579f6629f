//! `kobel restart`.

use std::{collections::BTreeMap, ops::ControlFlow, process::ExitCode};

use kobel_conf::Category;
use kobel_plan::{ClusterState, Status, WorkerId};
use kobel_session::{Cluster, Control};

use super::{
    news,
    wait::{failed_end, within},
};
use crate::{
    args::{RestartArgs, RoleName},
    context::Ctx,
    failure::Failure,
    ui::{Progress, Signals},
};

/// Replaces processes, and waits until the cluster is ready with new ones.
pub(crate) async fn run(ctx: &Ctx, args: RestartArgs) -> Result<ExitCode, Failure> {
    let cluster = ctx.session()?.find(Some(&args.name)).await?;
    let before = cluster.status().await?;
    if before.state.is_terminal() || news::is_abandoned(&before) {
        return Err(failed_end(&before));
    }
    let waves = waves(&before, &args)?;
    let mut signals = Signals::catch()?;
    let progress = ctx.ui.progress();
    let replacing = async {
        for wave in &waves {
            replace(&cluster, wave, &progress).await?;
        }
        Ok(())
    };
    let too_late = || {
        Failure::new(Category::Timeout, format!("cluster {} is not ready again yet", args.name))
            .hint(format!("kobel status {}", args.name))
    };
    tokio::select! {
        done = within(args.timeout, replacing, too_late) => done?,
        caught = signals.next() => return Ok(caught.exit_code()),
    }
    drop(progress);
    let names: Vec<_> = waves.iter().flatten().map(ToString::to_string).collect();
    ctx.ui.note(format_args!("cluster {} is ready with new processes: {}", args.name, names.join(", ")));
    Ok(ExitCode::SUCCESS)
}

/// Which workers are replaced together: TaskManagers first, then JobManagers.
fn waves(status: &Status, args: &RestartArgs) -> Result<Vec<Vec<WorkerId>>, Failure> {
    let chosen = |role: RoleName| args.role.is_none_or(|only| only == role);
    let one = |id: &WorkerId| args.index.is_none_or(|index| index == id.index);
    let tms = (0..status.task_managers.wanted).map(WorkerId::tm).filter(|_| chosen(RoleName::Tm));
    let jms = status.masters.iter().map(|jm| jm.id).filter(|_| chosen(RoleName::Jm));
    let waves: Vec<Vec<_>> = vec![tms.filter(one).collect(), jms.filter(one).collect()];
    let waves: Vec<_> = waves.into_iter().filter(|wave| !wave.is_empty()).collect();
    if waves.is_empty() {
        let what = format!("cluster {} has no such process", args.name);
        let hint = format!("kobel status {} -o wide", args.name);
        return Err(Failure::new(Category::NotFound, what).hint(hint));
    }
    Ok(waves)
}

async fn replace(cluster: &Cluster, wave: &[WorkerId], progress: &Progress) -> Result<(), Failure> {
    let control = Control::open(&cluster.dir)?;
    let former = processes(&cluster.status().await?);
    for id in wave {
        control.restart(*id).await?;
    }
    news::follow(cluster, |status| {
        progress.now(news::line(status));
        verdict(status, wave, &former).map_or(ControlFlow::Continue(()), ControlFlow::Break)
    })
    .await?
}

/// What tells a worker's process from the one before it: its number where that is known, or its container.
type Process = (Option<u32>, Option<String>);

/// The workers' processes, of which something is known.
fn processes(status: &Status) -> BTreeMap<WorkerId, Process> {
    let jms = status.masters.iter().map(|jm| (jm.id, (jm.pid, jm.container.clone())));
    let tms = status.task_managers.list.iter().map(|tm| (tm.id, (tm.pid, tm.container.clone())));
    jms.chain(tms).filter(|(_, process)| *process != (None, None)).collect()
}

/// Whether the cluster is ready and each of these has another process, or never will.
fn verdict(
    status: &Status,
    wave: &[WorkerId],
    former: &BTreeMap<WorkerId, Process>,
) -> Option<Result<(), Failure>> {
    if status.state.is_terminal() || news::is_abandoned(status) {
        return Some(Err(failed_end(status)));
    }
    let now = processes(status);
    let is_new = |id: &WorkerId| now.get(id).is_some_and(|pid| former.get(id) != Some(pid));
    (status.state == ClusterState::Ready && wave.iter().all(is_new)).then_some(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::status::tests::ready;

    fn chosen(role: Option<RoleName>, index: Option<u32>) -> Option<String> {
        let args = RestartArgs { name: "default".parse().unwrap(), role, index, timeout: None };
        waves(&ready(), &args).ok().map(|waves| format!("{waves:?}"))
    }

    #[test]
    fn task_managers_go_first_and_the_job_manager_last() {
        let ids = |waves: &[&[WorkerId]]| Some(format!("{waves:?}"));
        let (jm, tm) = (WorkerId::jm(0), WorkerId::tm);
        assert_eq!(chosen(None, None), ids(&[&[tm(0), tm(1)], &[jm]]));
        assert_eq!(chosen(Some(RoleName::Tm), Some(1)), ids(&[&[tm(1)]]));
        assert_eq!(chosen(Some(RoleName::Jm), None), ids(&[&[jm]]));
        assert_eq!(chosen(Some(RoleName::Tm), Some(2)), None);
    }

    #[test]
    fn replaced_is_who_has_another_process() {
        let (status, wave) = (ready(), [WorkerId::tm(0)]);
        let told = |pid: Option<u32>, container: Option<&str>| {
            let former = (pid, container.map(String::from));
            verdict(&status, &wave, &BTreeMap::from([(WorkerId::tm(0), former)])).is_some()
        };
        assert!(!told(Some(4712), None), "the same process");
        assert!(told(Some(4799), None));
        // Where processes have no numbers.
        let mut status = status.clone();
        let tm = &mut status.task_managers.list[0];
        (tm.pid, tm.container) = (None, Some("container_2".into()));
        let told = |container: &str| {
            let former = (None, Some(container.to_string()));
            verdict(&status, &wave, &BTreeMap::from([(WorkerId::tm(0), former)])).is_some()
        };
        assert!(!told("container_2") && told("container_1"));
    }
}
