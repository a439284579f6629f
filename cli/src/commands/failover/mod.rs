//! `kobel failover`: a drill. A process is hit on purpose, and what follows is measured.

mod measure;

use std::{
    ops::ControlFlow,
    process::ExitCode,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kobel_conf::{Category, units::millis};
use kobel_flink::{FlinkRest, rest::JobState};
use kobel_plan::{ClusterState, Fault, Status, WorkerId, api::Struck};
use kobel_session::{Cluster, Control, job::Target};

use self::measure::Watched;
use super::{
    news::{self, plural},
    wait::{failed_end, within},
};
use crate::{
    args::{FailoverArgs, Victim},
    context::Ctx,
    failure::{Failure, printable},
    render::{Drill, Told, VictimRow, print},
    ui::{Progress, Signals},
};

/// Between two looks at the jobs.
const PACE: Duration = Duration::from_millis(25);
/// A JobManager that has run for so long has surely started.
const WARM: Duration = Duration::from_secs(10);

/// A drill under way.
struct Course {
    cluster: Cluster,
    drill: Drill,
    rest: FlinkRest,
    jobs: Vec<Watched>,
}

/// Hits a process, and waits until all is well again.
pub(crate) async fn run(ctx: &Ctx, args: FailoverArgs) -> Result<ExitCode, Failure> {
    let cluster = ctx.session()?.find(Some(&args.name)).await?;
    let status = cluster.status().await?;
    let mut course = prepare(cluster, &status, &args.victim).await?;
    course.announce(ctx, &status, args.dry_run);
    if args.dry_run {
        print(&ctx.ui, &course.view(), args.output.format)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut signals = Signals::catch()?;
    let progress = ctx.ui.progress();
    let too_late = || {
        let what = format!("cluster {} has not recovered after {:?}", args.name, args.timeout);
        Failure::new(Category::Timeout, what).hint(format!("kobel events {}", args.name))
    };
    let outcome = tokio::select! {
        outcome = within(Some(args.timeout), course.run(&progress), too_late) => outcome,
        caught = signals.next() => return Ok(caught.exit_code()),
    };
    drop(progress);
    if course.drill.at.is_some() {
        print(&ctx.ui, &course.view(), args.output.format)?;
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Which process it will be, and which jobs it hits.
async fn prepare(cluster: Cluster, status: &Status, asked: &Victim) -> Result<Course, Failure> {
    if status.state.is_terminal() || news::is_abandoned(status) {
        return Err(failed_end(status));
    }
    let leader = leader(status)?;
    let rest = Target::of(status)?.rest;
    let jobs = measure::watched(&rest).await?;
    let (victim, jobs) = match asked.tm {
        None => (leader, jobs),
        Some(index) => {
            let busy = match (index, jobs.first()) {
                (None, Some(job)) => measure::task_managers(&rest, job.row.id).await?,
                _ => vec![],
            };
            let victim = task_manager(status, index.map(WorkerId::tm), &busy)?;
            let jobs = measure::on_task_manager(&rest, jobs, victim.id).await?;
            (victim, jobs)
        }
    };
    if asked.tm.is_none() && status.ha.is_none() {
        let what = format!("cluster {} has no high availability", status.name);
        return Err(Failure::new(Category::Environment, what)
            .why(format!("its jobs would be gone with {}", victim.id))
            .hint(format!("kobel start {} --masters 2 --zookeeper embedded", status.name)));
    }
    let drill = Drill {
        cluster: status.name.clone(),
        fault: if asked.freeze { Fault::Freeze } else { Fault::Kill },
        victim,
        at: None,
        leader: None,
        leading_ms: None,
        running_ms: None,
        checkpoint_ms: None,
        timeline: Told::default(),
        jobs: vec![],
    };
    Ok(Course { cluster, drill, rest, jobs })
}

fn leader(status: &Status) -> Result<VictimRow, Failure> {
    let leads = status.masters.iter().find(|master| master.leader);
    let leads = leads.filter(|_| status.state != ClusterState::Starting);
    let master = leads.ok_or_else(|| {
        let failure =
            Failure::new(Category::NotReady, format!("no JobManager of cluster {} leads now", status.name));
        let failure = failure.hint(format!("kobel wait {} --for ready", status.name));
        match &status.reason {
            Some(reason) => failure.why(reason),
            None => failure,
        }
    })?;
    let (host, container) = (master.host.clone(), master.container.clone());
    Ok(VictimRow { id: master.id, host, pid: master.pid, container })
}

/// The TaskManager that was asked for, or one of the busy ones, or any.
fn task_manager(status: &Status, asked: Option<WorkerId>, busy: &[WorkerId]) -> Result<VictimRow, Failure> {
    let list = &status.task_managers.list;
    let tm = match asked {
        Some(id) => list.iter().find(|tm| tm.id == id),
        None => list.iter().find(|tm| busy.contains(&tm.id)).or(list.first()),
    };
    let tm = tm.ok_or_else(|| {
        let which = asked.map_or("TaskManager".into(), |id| id.to_string());
        Failure::new(Category::NotFound, format!("cluster {} has no {which}", status.name))
            .hint(format!("kobel status {} -o wide", status.name))
    })?;
    Ok(VictimRow { id: tm.id, host: tm.host.clone(), pid: tm.pid, container: tm.container.clone() })
}

impl Course {
    /// Says what will be done before it is.
    fn announce(&self, ctx: &Ctx, status: &Status, dry: bool) {
        let (victim, fault, n) = (self.drill.victim.words(), self.drill.fault, self.jobs.len());
        let role = if self.drill.hits_leader() { ", which leads," } else { "" };
        let (will, jobs) = (if dry { "would be" } else { "will be" }, plural(n, "job", "jobs"));
        ctx.ui.note(format_args!("cluster {}: {victim}{role} {will} {fault}; {n} {jobs}", status.name));
        if self.drill.hits_leader() && !has_standby(status, Timestamp::now()) {
            ctx.ui.note("there is no standby that is up: a JobManager has to start first");
        }
        for job in self.jobs.iter().filter(|job| !job.row.checkpointed) {
            let (id, name) = (job.row.id, printable(&job.row.name));
            ctx.ui.note(format_args!("job {id} ({name}) makes no checkpoints: it begins anew, or fails"));
        }
    }

    /// Does it, and follows it to its end.
    async fn run(&mut self, progress: &Progress) -> Result<(), Failure> {
        let control = Control::open(&self.cluster.dir)?;
        let since = Instant::now();
        let struck = control.drill(self.drill.victim.id, self.drill.fault).await?;
        self.drill.at = Some(struck.at);
        if self.drill.hits_leader() {
            let leader = self.another_leads(progress).await?;
            (self.drill.leader, self.drill.leading_ms) = (Some(leader), Some(millis(since.elapsed())));
            self.jobs.iter_mut().for_each(Watched::has_moved);
        }
        progress.now(format!("{} waits for its jobs, and a checkpoint of each", self.drill.cluster));
        self.jobs_recover(&struck, since).await?;
        self.drill.timeline = measure::told(&control.events().await?, &struck);
        Ok(())
    }

    async fn another_leads(&self, progress: &Progress) -> Result<WorkerId, Failure> {
        news::follow(&self.cluster, |status| {
            progress.now(news::line(status));
            if status.state.is_terminal() || news::is_abandoned(status) {
                return ControlFlow::Break(Err(failed_end(status)));
            }
            match leader(status) {
                Ok(leader) if leader != self.drill.victim => ControlFlow::Break(Ok(leader.id)),
                _ => ControlFlow::Continue(()),
            }
        })
        .await?
    }

    /// Until every job runs again, and has completed a checkpoint if it makes any.
    async fn jobs_recover(&mut self, struck: &Struck, since: Instant) -> Result<(), Failure> {
        while !self.jobs.iter().all(Watched::is_done) {
            // While nobody leads there is no answer.
            for told in self.rest.jobs().await.unwrap_or_default() {
                let Some(job) = self.jobs.iter_mut().find(|job| job.row.id == told.jid) else { continue };
                job.see(&told, since.elapsed());
                if job.ended == Some(JobState::Failed) {
                    return Err(failed(job, &self.drill));
                }
                if told.runs()
                    && !job.is_done()
                    && let Ok(Some(found)) = self.rest.checkpoints(told.jid).await
                {
                    job.see_checkpoints(&found, struck.at, since.elapsed());
                }
            }
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    /// As far as it has come.
    fn view(&self) -> Drill {
        let jobs: Vec<_> = self.jobs.iter().map(|job| job.row.clone()).collect();
        let living = || self.jobs.iter().filter(|job| job.ended.is_none()).map(|job| &job.row);
        let running: Option<Vec<_>> = living().map(|job| job.running_ms).collect();
        let made = living().filter(|job| job.checkpointed);
        let made: Option<Vec<_>> =
            made.map(|job| job.checkpoint.as_ref().map(|made| made.after_ms)).collect();
        let last = |times: Option<Vec<u64>>| times.and_then(|times| times.into_iter().max());
        Drill { jobs, running_ms: last(running), checkpoint_ms: last(made), ..self.drill.clone() }
    }
}

/// Whether a JobManager beside the leader has had time to start.
fn has_standby(status: &Status, now: Timestamp) -> bool {
    let runs = |since: Timestamp| now.duration_since(since).unsigned_abs();
    status.masters.iter().any(|master| !master.leader && runs(master.since) >= WARM)
}

fn failed(job: &Watched, drill: &Drill) -> Failure {
    let (id, name) = (job.row.id, &drill.cluster);
    let what = format!("job {id} is {} after the fault", JobState::Failed);
    Failure::new(Category::FailedEnd, what).hint(format!("kobel job exceptions {id} --cluster {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::status::tests::ready;

    #[test]
    fn the_leader_is_hit_or_nobody() {
        let mut status = ready();
        assert_eq!(leader(&status).unwrap().id, WorkerId::jm(0));
        status.masters[0].leader = false;
        assert_eq!(leader(&status).unwrap_err().category(), Category::NotReady);
        status.masters[0].leader = true;
        status.state = ClusterState::Starting;
        assert_eq!(leader(&status).unwrap_err().category(), Category::NotReady);
    }

    #[test]
    fn a_standby_is_one_that_has_had_time_to_start() {
        let (mut status, now) = (ready(), Timestamp::now());
        assert!(!has_standby(&status, now), "one JobManager leads and is no standby");
        let mut standby = status.masters[0].clone();
        (standby.leader, standby.since) = (false, now);
        status.masters.push(standby);
        assert!(!has_standby(&status, now));
        assert!(has_standby(&status, now + WARM));
    }

    #[test]
    fn of_task_managers_it_is_the_one_asked_for_or_a_busy_one() {
        let (mut status, tm) = (ready(), WorkerId::tm);
        let hit =
            |status: &Status, asked, busy: &[WorkerId]| task_manager(status, asked, busy).map(|tm| tm.id);
        assert_eq!(hit(&status, Some(tm(1)), &[tm(0)]), Ok(tm(1)));
        assert_eq!(hit(&status, None, &[tm(1)]), Ok(tm(1)));
        assert_eq!(hit(&status, None, &[]), Ok(tm(0)));
        assert_eq!(hit(&status, Some(tm(9)), &[]).unwrap_err().category(), Category::NotFound);
        status.task_managers.list.clear();
        assert_eq!(hit(&status, None, &[]).unwrap_err().category(), Category::NotFound);
    }
}
