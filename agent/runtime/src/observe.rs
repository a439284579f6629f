//! Asks the JobManager over its REST API how the cluster stands, and tells the supervisor.

mod needs;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use kobel_flink::{
    FlinkRest, RestError,
    rest::{JobSummary, TaskManager},
};
use kobel_plan::{
    Attempt, WorkerId,
    status::{Jobs, Slots},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

pub(crate) use self::needs::Needs;
use crate::demand::Demand;

/// Between two questions while something is expected to change: a start takes about two seconds,
/// and who waits for it should not wait for this.
const HURRIED: Duration = Duration::from_millis(75);
/// So many hurried questions, about a minute of them; after that nothing is expected any more.
const HURRIED_QUESTIONS: u32 = 800;
/// Between two questions after that.
const PATIENT: Duration = Duration::from_secs(1);
/// Between two questions while all is well.
const STEADY: Duration = Duration::from_secs(2);
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(3);
/// So many unanswered questions in a row mean that nobody answers; fewer are a pause of the JVM.
const SILENCE: u32 = 3;

/// What to ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Question {
    /// Whom.
    pub(crate) target: Option<Target>,
    /// Whether something is expected to change soon.
    pub(crate) hurry: bool,
    /// A higher number than before asks at once.
    pub(crate) serial: u64,
    /// Whether it matters that each single job runs.
    pub(crate) jobs: bool,
    /// What of the jobs' needs matters.
    pub(crate) needs: Needs,
}

/// What the observer heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The question that was asked.
    pub(crate) serial: u64,
    /// The JobManager's last answer; none when it no longer answers.
    pub(crate) answer: Option<Observation>,
}

/// One JobManager process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// Whose.
    pub(crate) of: (WorkerId, Attempt),
    /// Its REST server.
    pub(crate) rest: SocketAddr,
}

/// What a JobManager said. That it said anything makes it the leader: until it is, it answers 503.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observation {
    /// Which process said it.
    pub(crate) of: (WorkerId, Attempt),
    /// The question that it answered.
    pub(crate) serial: u64,
    pub(crate) slots: Slots,
    pub(crate) jobs: Jobs,
    /// The registered TaskManagers that offer slots, by their resource ids, `tm-0.1`.
    pub(crate) registered: BTreeMap<String, Slots>,
    /// How many jobs are on their way to running, if that was asked.
    pub(crate) not_running: Option<usize>,
    /// What jobs lack, if that was asked and could be found out.
    pub(crate) demand: Option<Demand>,
}

/// Asks until nobody wants to know. A question sent again is asked at once.
pub(crate) async fn observe(mut questions: watch::Receiver<Question>, heard: watch::Sender<Heard>) {
    let mut asking: Option<(Target, FlinkRest)> = None;
    let (mut unanswered, mut hurried) = (0, 0);
    loop {
        let question = *questions.borrow_and_update();
        if asking.as_ref().map(|(target, _)| *target) != question.target {
            asking = question.target.and_then(client);
            (unanswered, hurried) = (0, 0);
        }
        let answer = match &asking {
            Some((target, rest)) => ask(target, rest, question).await,
            None => None,
        };
        unanswered = if answer.is_some() { 0 } else { unanswered + 1 };
        let news = answer.is_some() || unanswered >= SILENCE || asking.is_none();
        tell(&heard, question.serial, news.then_some(answer));
        hurried = if question.hurry { hurried + 1 } else { 0 };
        let pause = match hurried {
            0 => STEADY,
            1..HURRIED_QUESTIONS => HURRIED,
            _ => PATIENT,
        };
        let asked_again = tokio::select! {
            asked = questions.changed() => asked,
            () = sleep(pause), if asking.is_some() => Ok(()),
        };
        if asked_again.is_err() {
            return;
        }
    }
}

/// A JobManager, and the way to it.
pub(crate) fn client(target: Target) -> Option<(Target, FlinkRest)> {
    match FlinkRest::new(&format!("http://{}", target.rest)) {
        Ok(rest) => Some((target, rest)),
        Err(error) => {
            tracing::error!(%error, "could not make a client for the JobManager");
            None
        }
    }
}

async fn ask(target: &Target, rest: &FlinkRest, question: Question) -> Option<Observation> {
    match timeout(DEADLINE, look(target, rest, question)).await {
        Ok(Ok(observation)) => Some(observation),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the JobManager gave no answer");
            None
        }
        Err(_) => {
            tracing::debug!("the JobManager did not answer in time");
            None
        }
    }
}

async fn look(target: &Target, rest: &FlinkRest, question: Question) -> Result<Observation, RestError> {
    let overview = rest.overview().await?;
    let needs = question.needs != Needs::Nothing;
    let list = match question.jobs || needs && overview.jobs_running > 0 {
        // Without it the JobManager has answered all the same.
        true => rest.jobs().await.ok(),
        false => needs.then(Vec::new),
    };
    // After the jobs: slots that came in between are theirs already.
    let mut task_managers = rest.task_managers().await?;
    // One that is registered reports its slots a moment later, and is of no use before.
    task_managers.retain(|tm| tm.slots_number > 0);
    let demand = match &list {
        Some(jobs) if needs => needs::look(rest, question.needs, jobs, &task_managers).await,
        _ => None,
    };
    let not_running = list.filter(|_| question.jobs);
    let not_running = not_running.map(|jobs| jobs.iter().filter(|job| is_on_its_way(job)).count());
    let sum = |slots: fn(&TaskManager) -> u32| task_managers.iter().map(slots).fold(0, u32::saturating_add);
    Ok(Observation {
        of: target.of,
        serial: question.serial,
        // Not the overview's, which may be older than the list of TaskManagers.
        slots: Slots { total: sum(|tm| tm.slots_number), free: sum(|tm| tm.free_slots) },
        jobs: Jobs {
            running: overview.jobs_running,
            finished: overview.jobs_finished,
            failed: overview.jobs_failed,
            canceled: overview.jobs_cancelled,
        },
        registered: task_managers
            .into_iter()
            .map(|tm| (tm.id, Slots { total: tm.slots_number, free: tm.free_slots }))
            .collect(),
        not_running,
        demand,
    })
}

/// Whether a job has not ended and does not run with all its tasks.
fn is_on_its_way(job: &JobSummary) -> bool {
    !(job.state.is_terminal() || job.runs())
}

fn tell(heard: &watch::Sender<Heard>, serial: u64, news: Option<Option<Observation>>) {
    heard.send_if_modified(|last| {
        let asked_anew = std::mem::replace(&mut last.serial, serial) != serial;
        let changed = news.is_some_and(|answer| {
            let changed = last.answer != answer;
            last.answer = answer;
            changed
        });
        asked_anew || changed
    });
}
