//! What Flink's own `flink` prints, word for word where scripts read it.

use jiff::{Timestamp, tz::TimeZone};
use kobel_flink::rest::{JobState, JobSummary, SavepointFormat};

use super::options::Action;

/// Before an answer of the cluster.
pub(super) const WAITING: &str = "Waiting for response...";

/// Which jobs of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Running,
    Scheduled,
    Terminated,
}

impl Section {
    fn of(job: &JobSummary) -> Self {
        match job.state {
            state if state.is_terminal() => Self::Terminated,
            JobState::Created | JobState::Initializing => Self::Scheduled,
            _ => Self::Running,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Running => " Running/Restarting Jobs ",
            Self::Scheduled => " Scheduled/Initializing Jobs ",
            Self::Terminated => " Terminated Jobs ",
        }
    }

    /// What is said where there are none.
    fn none(self) -> &'static [&'static str] {
        match self {
            Self::Running => &["No running jobs."],
            Self::Scheduled => &["No scheduled jobs."],
            Self::Terminated => &[],
        }
    }
}

/// The jobs of a section, in the layout that scripts parse: `dd.MM.yyyy HH:mm:ss : ID : NAME (STATE)`.
pub(super) fn section(jobs: &[JobSummary], section: Section) -> Vec<String> {
    const WIDTH: usize = 62;
    let jobs: Vec<_> = jobs.iter().filter(|job| Section::of(job) == section).collect();
    if jobs.is_empty() {
        return section.none().iter().map(|line| line.to_string()).collect();
    }
    let rows = jobs.into_iter().map(|job| {
        let at = Timestamp::from_millisecond(job.start_time).unwrap_or_default().to_zoned(TimeZone::system());
        format!("{} : {} : {} ({})", at.strftime("%d.%m.%Y %H:%M:%S"), job.jid, job.name, state(job.state))
    });
    let first = format!("{:-^WIDTH$}", section.title());
    [first].into_iter().chain(rows).chain(["-".repeat(WIDTH)]).collect()
}

/// A state as Flink writes it.
pub(super) fn state(state: JobState) -> String {
    format!("{state:?}").to_uppercase()
}

/// The form of a savepoint as Flink writes it.
pub(super) fn form(format: Option<SavepointFormat>) -> &'static str {
    match format {
        None | Some(SavepointFormat::Canonical) => "CANONICAL",
        Some(SavepointFormat::Native) => "NATIVE",
    }
}

/// That an action's job is not named.
pub(super) fn missing_job(action: Action) -> &'static str {
    match action {
        Action::Cancel => "Missing JobID. Specify a JobID to cancel a job.",
        Action::Savepoint => "Missing JobID. Specify a Job ID to trigger a savepoint.",
        Action::Checkpoint => "Missing JobID. Specify a Job ID to manipulate a checkpoint.",
        _ => "Missing JobId",
    }
}

/// The plan of a program, as `flink info` frames it.
pub(super) fn plan(json: &str) -> String {
    format!(
        "----------------------- Execution Plan -----------------------\n{json}\n{}\n\nNo description provided.",
        "-".repeat(62)
    )
}

/// The command that shows an action's options.
pub(super) fn help_of(action: Action) -> String {
    format!("flink {} -h", action.name())
}

const CLUSTER: &str = "
Which session, or where its own cluster:
  -m,  --jobmanager H:P         the session at this address; yarn-cluster: a cluster of its own on YARN
  -t,  --target T               remote, local, yarn-session, yarn-per-job, yarn-application
  -yid, --yarnapplicationId ID  the session that runs as this application of YARN
  -z,  --zookeeperNamespace S   the session of this name in ZooKeeper
  -D KEY=VALUE                  an option of Flink's, such as yarn.application.id=ID";

const OWN: &str = "
Its own cluster, with -m yarn-cluster, -t yarn-per-job or -t yarn-application:
  -yn, --yarncontainer N        TaskManagers, kept [default: as many as the job needs]
  -ys, --yarnslots N            slots of each TaskManager
  -ytm, --yarntaskManagerMemory M, -yjm, --yarnjobManagerMemory M
                                memory; a bare number is MB
  -ynm, --yarnname S · -yqu, --yarnqueue Q · -ynl, --yarnnodeLabel L · -yat, --yarnapplicationType T
  -yt, --yarnship PATH          a file or directory for every container; repeatable
  -yD KEY=VALUE                 an option of Flink's for the cluster
  -yj, --yarnjar P              a Flink distribution, or the flink-dist jar in its lib directory
  -yz, --yarnzookeeperNamespace S · -yd, --yarndetached · -yq, --yarnquery";

/// What `-h` prints for an action.
pub(super) fn help(action: Action) -> String {
    let own = match action {
        Action::Run | Action::RunApplication => OWN,
        _ => "",
    };
    format!("{}{CLUSTER}{own}", options_of(action))
}

/// What an action does, in a line.
pub(super) fn summary(action: Action) -> &'static str {
    match action {
        Action::RunApplication => "flink run-application [OPTIONS] JAR [ARGUMENTS]: the same as run",
        _ => options_of(action).lines().next().unwrap_or_default(),
    }
}

fn options_of(action: Action) -> &'static str {
    match action {
        Action::Run | Action::RunApplication => {
            "\
flink run [OPTIONS] JAR [ARGUMENTS]: runs a program's job
  -c,  --class C                the class with main, where the jar's manifest names none
  -p,  --parallelism N          parallelism of the job
  -d,  --detached               return as soon as the job runs
  -sae, --shutdownOnAttachedExit  Ctrl-C cancels the job
  -s,  --fromSavepoint PATH     start from this savepoint or checkpoint
  -n,  --allowNonRestoredState  even if it has state that the program no longer has
  -cm, --claimMode M            who owns it afterwards: CLAIM, NO_CLAIM, LEGACY (-rm, --restoreMode)
  -C,  --classpath URL          classes for main and the job, at a URL that every node reads; repeatable
  -py, -pym, -pyfs, -pyreq, -pyarch, -pyexec, -pyclientexec, -pypath
                                as Flink's own client has them, which is handed over to"
        }
        Action::Info => {
            "\
flink info [OPTIONS] JAR [ARGUMENTS]: shows the plan of a program as JSON, and runs nothing
  -c,  --class C                the class with main, where the jar's manifest names none
  -p,  --parallelism N          parallelism of the job"
        }
        Action::List => {
            "\
flink list [OPTIONS]: lists jobs, those that are not over
  -r,  --running                only those that run
  -s,  --scheduled              only those that do not run yet
  -a,  --all                    those that are over, too"
        }
        Action::Stop => {
            "\
flink stop [OPTIONS] JOB-ID: stops a job with a savepoint
  -p,  --savepointPath [DIR]    where the savepoint goes
  -d,  --drain                  tell the operators first that no more data comes
  -type T                       the savepoint's form: canonical, native
  -detached                     do not wait for it"
        }
        Action::Cancel => {
            "\
flink cancel [OPTIONS] JOB-ID: cancels a job
  -s,  --withSavepoint [DIR]    make a savepoint first (better: flink stop)
  -type T                       the savepoint's form: canonical, native"
        }
        Action::Savepoint => {
            "\
flink savepoint [OPTIONS] JOB-ID [DIR]: makes a savepoint of a job that goes on
  -d,  --dispose PATH           remove this savepoint with all of its files instead
  -type T                       its form: canonical, native
  -detached                     do not wait for it"
        }
        Action::Checkpoint => {
            "\
flink checkpoint [OPTIONS] JOB-ID: makes a checkpoint of a job that goes on
  -full                         a whole one, even where the job makes incremental ones"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str) -> JobSummary {
        serde_json::from_value(serde_json::json!({
            "jid": "727c787c40b3a83283ade3c8d91964e7", "name": "sleeping", "state": state, "start-time": 1,
            "end-time": -1, "duration": 1, "tasks": { "total": 1, "running": 1, "finished": 0 },
        }))
        .unwrap()
    }

    #[test]
    fn lists_have_flinks_lines() {
        let running = section(&[job("RUNNING"), job("FINISHED")], Section::Running);
        assert_eq!(running[0], "------------------ Running/Restarting Jobs -------------------");
        assert!(
            running[1].ends_with(" : 727c787c40b3a83283ade3c8d91964e7 : sleeping (RUNNING)"),
            "{running:?}"
        );
        assert_eq!(running[2..], ["--------------------------------------------------------------"]);
        assert_eq!(section(&[], Section::Running), ["No running jobs."]);
        assert_eq!(section(&[job("RUNNING")], Section::Scheduled), ["No scheduled jobs."]);
        assert!(section(&[job("RUNNING")], Section::Terminated).is_empty());
        let waiting = section(&[job("INITIALIZING")], Section::Scheduled);
        assert_eq!(waiting[0].len(), 62);
    }
}
