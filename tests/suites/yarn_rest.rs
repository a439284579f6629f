//! The REST API of a real ResourceManager.

use std::{collections::BTreeMap, time::Duration};

use kobel_hadoop_rpc::yarn::{AppState, ApplicationId, Launch, Master, Resource, Submission};
use kobel_kit::hadoop::{self, Cluster, Hadoop, Setup, Site};
use kobel_session::yarn::{
    manager::{Manager, RmError, Sighting, SubmitError, Wait, Wanted},
    rest::RmRest,
};

const PROMPT: Duration = Duration::from_secs(30);
/// How long a ResourceManager may take to start, on a loaded machine.
const RESTARTED: Duration = Duration::from_secs(180);

fn setup() -> Setup {
    Setup::yarn()
}

fn rest(cluster: &Cluster) -> RmRest {
    RmRest::new(&[cluster.yarn().web()], "alice").unwrap()
}

fn submission(id: ApplicationId, queue: &str, command: &str) -> Submission {
    let environment: BTreeMap<_, _> = [("GREETING".to_string(), "hello".to_string())].into();
    let launch = Launch { commands: vec![command.into()], environment, ..Default::default() };
    Submission {
        queue: Some(queue.into()),
        tags: vec!["kobel-rest".into()],
        master: Master::Launched(launch),
        ..kobel_tests::submission(id, "rest test", 512, command)
    }
}

fn container_of(cluster: &Cluster, id: ApplicationId) -> bool {
    let application = id.to_string().replace("application_", "_");
    cluster.containers().iter().any(|(_, container)| container.contains(&application))
}

fn gone(cluster: &Cluster, id: ApplicationId) {
    kobel_kit::wait::until("the container is gone", PROMPT, || {
        if container_of(cluster, id) { Err(format!("{:?}", cluster.containers())) } else { Ok(()) }
    });
}

#[tokio::test]
async fn an_application_is_submitted_seen_and_killed() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let rm = rest(&cluster);
    let id = rm.new_application().await.unwrap().id;
    let taken = rm.submit(&submission(id, "default", "sleep 300"), PROMPT).await.unwrap();
    assert_eq!(taken.state, AppState::Accepted);
    kobel_kit::wait::until("its container runs", PROMPT, || {
        if container_of(&cluster, id) { Ok(()) } else { Err("none".into()) }
    });
    let Sighting::Seen(report) = rm.report(id).await.unwrap() else { panic!("{id} is not seen") };
    let attempt = report.attempt.expect("an attempt");
    assert_eq!((report.user.as_str(), report.tags), ("alice", vec!["kobel-rest".to_string()]));
    let attempts = rm.attempts(id).await.unwrap();
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    let containers = rm.containers(attempt).await.unwrap();
    assert_eq!(containers[0].container_id.to_string(), attempts[0].container_id);
    let listed = rm.apps(&["KOBEL"], Some("alice"), &[AppState::Accepted], &["kobel-rest"]).await.unwrap();
    assert!(listed.iter().any(|app| app.id == id), "{listed:?}");

    assert_eq!(rm.kill(id, "the test is over", PROMPT).await.unwrap(), AppState::Killed);
    assert_eq!(rm.kill(id, "again", PROMPT).await.unwrap(), AppState::Killed);
    assert_eq!(rm.state(id).await.unwrap(), Sighting::Seen(AppState::Killed));
    let Sighting::Seen(report) = rm.report(id).await.unwrap() else { panic!("{id} is not seen") };
    assert!(report.diagnostics.contains("the test is over"), "{}", report.diagnostics);
    gone(&cluster, id);
}

#[tokio::test]
async fn what_yarn_does_not_take_is_an_error() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let rm = rest(&cluster);
    let id = rm.new_application().await.unwrap().id;
    let error = rm.submit(&submission(id, "nope", "sleep 300"), PROMPT).await.unwrap_err();
    let SubmitError::Refused { state: AppState::Failed, diagnostics, .. } = &error else { panic!("{error}") };
    assert!(diagnostics.contains("unknown queue"), "{diagnostics}");

    let id = rm.new_application().await.unwrap().id;
    let huge = Submission { size: Resource::new(1 << 20, 1), ..submission(id, "default", "sleep 300") };
    let error = rm.submit(&huge, PROMPT).await.unwrap_err();
    assert!(matches!(error, SubmitError::Rm { source: RmError::Rejected { .. }, .. }), "{error}");

    let unknown = "application_1_0001".parse().unwrap();
    assert_eq!(rm.report(unknown).await.unwrap(), Sighting::Gone);
    assert!(matches!(rm.kill(unknown, "", PROMPT).await, Err(RmError::NotFound { .. })));
}

/// The first one takes most of what the queue gives to masters, so that the others wait.
#[tokio::test]
async fn why_an_application_waits_is_told() {
    let Some(hadoop) = Hadoop::from_env() else { return };
    let site = "yarn.scheduler.capacity.root.default.maximum-am-resource-percent";
    let cluster = Cluster::start(&hadoop, Setup::yarn().set(Site::Scheduler, site, "0.1"));
    let rm = rest(&cluster);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = rm.new_application().await.unwrap().id;
        rm.submit(&submission(id, "default", "sleep 300"), PROMPT).await.unwrap();
        ids.push(id);
    }
    let wanted = Wanted { size: Resource::new(512, 1), node_label: None };
    let end = tokio::time::Instant::now() + PROMPT;
    let wait = loop {
        let Sighting::Seen(report) = rm.report(ids[2]).await.unwrap() else { panic!("it is not seen") };
        let (queues, nodes) = (rm.queues().await.unwrap(), rm.nodes().await.unwrap());
        let wait = Wait::of(&report, &wanted, &queues, Some(&nodes));
        if matches!(wait, Wait::MasterShare { .. } | Wait::UserMasterShare { .. }) {
            break wait.to_string();
        }
        assert!(tokio::time::Instant::now() < end, "{wait}; {report:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    println!("{wait}");
    assert!(wait.contains("queue root.default gives"), "{wait}");
    for id in ids {
        rm.kill(id, "the test is over", PROMPT).await.unwrap();
        gone(&cluster, id);
    }
}

/// The ResourceManager answers 404 while it reads its notes after a start: never is that taken for the end.
#[tokio::test]
async fn an_application_is_not_gone_while_the_resource_manager_restarts() {
    let Some(hadoop) = Hadoop::from_env() else { return };
    let cluster = Cluster::start(&hadoop, Setup::yarn().node_recovery());
    // Only who looks again at once has little time for each look.
    let (rm, hasty) = (rest(&cluster), rest(&cluster).with_deadline(Duration::from_secs(2)));
    let id = rm.new_application().await.unwrap().id;
    rm.submit(&submission(id, "default", "sleep 300"), PROMPT).await.unwrap();
    let daemon = &cluster.yarn().resource_manager;
    daemon.kill9();
    let error = hasty.report(id).await.unwrap_err();
    assert!(matches!(error, RmError::Unreachable { .. } | RmError::Lost { .. }), "{error}");
    daemon.start();
    let end = tokio::time::Instant::now() + RESTARTED;
    let (mut not_yet, mut last) = (0, String::new());
    loop {
        match hasty.report(id).await {
            Ok(Sighting::Seen(report)) => {
                // It is submitted anew from the notes, and accepted a moment later.
                assert!(matches!(report.state, AppState::Submitted | AppState::Accepted), "{report:?}");
                break;
            }
            Ok(Sighting::NotYet) => not_yet += 1,
            Ok(Sighting::Gone) => panic!("gone, while the ResourceManager starts"),
            Err(error) => last = error.to_string(),
        }
        assert!(tokio::time::Instant::now() < end, "{id} was not seen again: {last}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("{not_yet} times not yet");
    rm.kill(id, "the test is over", PROMPT).await.unwrap();
    gone(&cluster, id);
}
