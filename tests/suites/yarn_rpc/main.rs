//! The protocols against a real YARN: an application over the client's port, and an ApplicationMaster,
//! which is this very program, over the scheduler's and a node's.

mod master;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kobel_hadoop_rpc::{
    Auth,
    yarn::{
        AppFilter, AppReport, AppState, ApplicationId, AttemptId, ClientError, ContainerExit, ContainerId,
        FinalStatus, Launch, Master, NodeState, Resource, ResourceManager, Submission,
    },
};
use kobel_kit::hadoop::{self, Cluster, Hadoop, Setup};

const PROMPT: Duration = Duration::from_secs(20);

fn setup() -> Setup {
    Setup::yarn().node_recovery()
}

/// The host of the ResourceManager, whose ports are Hadoop's defaults.
fn rm_host(cluster: &Cluster) -> String {
    let web = cluster.yarn().web();
    web.trim_start_matches("http://").split(':').next().unwrap().to_string()
}

fn client(cluster: &Cluster) -> ResourceManager {
    let address = format!("{}:8032", rm_host(cluster));
    ResourceManager::new(vec![address], Auth::Simple { user: "alice".into() }, PROMPT).unwrap()
}

fn submission(id: ApplicationId, command: &str, environment: BTreeMap<String, String>) -> Submission {
    let launch = Launch { commands: vec![command.into()], environment, ..Default::default() };
    Submission {
        tags: vec!["kobel-rpc".into()],
        master: Master::Launched(launch),
        ..kobel_tests::submission(id, "rpc test", 512, command)
    }
}

/// Looks at the application until it is as wanted.
async fn until(
    rm: &ResourceManager,
    id: ApplicationId,
    what: &str,
    wanted: impl Fn(&AppReport) -> bool,
) -> AppReport {
    let end = tokio::time::Instant::now() + Duration::from_secs(120);
    loop {
        // A ResourceManager that restarts cannot be reached before it knows its applications again.
        let report = rm.report(id).await;
        match report {
            Ok(report) if wanted(&report) => return report,
            Err(ClientError::NoSuchApplication { message }) => panic!("{message}"),
            report => {
                assert!(
                    tokio::time::Instant::now() < end,
                    "not within two minutes: {what}; last: {report:#?}"
                )
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How many of the application's containers have a process whose command line names them.
fn containers_of(cluster: &Cluster, id: ApplicationId) -> usize {
    let lines = cluster.containers().into_iter().map(|(_, line)| line).collect::<Vec<_>>().join(" ");
    let words = lines.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let containers = words.filter_map(|word| word.parse::<ContainerId>().ok());
    containers.filter(|container| container.application() == id).collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn an_application_is_submitted_seen_failed_over_and_killed() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let rm = client(&cluster);
    let new = rm.new_application().await.unwrap();
    assert!(new.largest.memory_mib >= 1024, "{new:?}");
    let once = submission(new.id, "sleep 300", BTreeMap::new());
    let submission = Submission { max_attempts: Some(2), ..once };
    rm.submit(&submission).await.unwrap();
    rm.submit(&submission).await.expect("the same again does no harm");
    let report = until(&rm, new.id, "it has an attempt and a container", |report| {
        report.attempt.is_some() && containers_of(&cluster, new.id) > 0
    })
    .await;
    assert_eq!(report.state, AppState::Accepted);
    assert_eq!((report.user.as_str(), report.queue.as_str()), ("alice", "root.default"));
    let filter =
        AppFilter { kinds: vec!["KOBEL".into()], tags: vec!["kobel-rpc".into()], ..Default::default() };
    let listed = rm.applications(&filter).await.unwrap();
    assert!(listed.iter().any(|app| app.id == new.id), "{listed:?}");

    let end = tokio::time::Instant::now() + PROMPT;
    while !rm.kill(new.id, "the test is over").await.unwrap() {
        assert!(tokio::time::Instant::now() < end, "{} is not dead", new.id);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let report = rm.report(new.id).await.unwrap();
    assert_eq!((report.state, report.final_status), (AppState::Killed, FinalStatus::Killed));
    assert!(report.diagnostics.contains("the test is over"), "{}", report.diagnostics);
    kobel_kit::wait::until("the container is gone", PROMPT, || {
        if containers_of(&cluster, new.id) > 0 { Err(format!("{:?}", cluster.containers())) } else { Ok(()) }
    });
}

#[tokio::test]
async fn how_a_master_ended_is_told_where_its_node_saw_it() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let rm = client(&cluster);
    let cases = [("exit 7", Some(7)), ("kill -9 $$", Some(137)), ("sleep 300", None)];
    for (command, status) in cases {
        let id = rm.new_application().await.unwrap().id;
        rm.submit(&submission(id, command, BTreeMap::new())).await.unwrap();
        let attempt = AttemptId { application: id, number: 1 };
        if status.is_none() {
            until(&rm, id, "it runs", |_| containers_of(&cluster, id) > 0).await;
            rm.fail_attempt(attempt).await.unwrap();
        }
        until(&rm, id, "it is over", |report| report.state == AppState::Failed).await;
        let told = rm.attempt_diagnostics(attempt).await.unwrap();
        println!("{command}: {told}");
        let exit = ContainerExit::of_master(attempt, &told);
        assert_eq!(exit, status.map(ContainerExit::Code), "{command}: {told}");
    }
}

#[tokio::test]
async fn the_cluster_is_described() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let rm = client(&cluster);
    let nodes = rm.nodes(&[NodeState::Running]).await.unwrap();
    assert_eq!(nodes.len(), 2, "{nodes:?}");
    assert_eq!(nodes[0].capacity.memory_mib, 8192);
    assert_eq!(rm.metrics().await.unwrap().active, 2);
    let root = rm.queue("root").await.unwrap().unwrap();
    let names: Vec<_> = root.children.iter().map(|queue| queue.name.as_str()).collect();
    assert!(names.iter().any(|name| name.ends_with("default")), "{names:?}");
    assert!(rm.queue("nope").await.is_ok_and(|queue| queue.is_none()));
}

#[tokio::test]
async fn what_the_resource_manager_refuses_is_named() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let rm = client(&cluster);
    let unknown = "application_1_0001".parse().unwrap();
    assert!(matches!(rm.report(unknown).await, Err(ClientError::NoSuchApplication { .. })));
    let new = rm.new_application().await.unwrap();
    let huge =
        Submission { size: Resource::new(1 << 30, 1), ..submission(new.id, "sleep 300", BTreeMap::new()) };
    let refused = rm.submit(&huge).await.unwrap_err();
    assert!(
        matches!(&refused, ClientError::Refused { message, .. } if message.contains("maximum")),
        "{refused}"
    );
}

/// Submits this very program as an application whose master does what the test of that name says.
async fn start_master(cluster: &Cluster, rm: &ResourceManager, test: &str) -> ApplicationId {
    let id = rm.new_application().await.unwrap().id;
    let scheduler = format!("{}:8030", rm_host(cluster));
    let environment = [(master::SCHEDULER.to_string(), scheduler)].into();
    let program = std::env::current_exe().unwrap();
    let command = format!(
        "{} --ignored --exact master::{test} --nocapture 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr",
        program.display()
    );
    rm.submit(&submission(id, &command, environment)).await.unwrap();
    id
}

/// Waits for the master's good end, and for the end of all that it started.
async fn ends_well(cluster: &Cluster, rm: &ResourceManager, id: ApplicationId, said: &str) {
    let report = until(rm, id, "it is over", |report| report.state.is_over()).await;
    assert_eq!(
        (report.state, report.final_status),
        (AppState::Finished, FinalStatus::Succeeded),
        "{report:#?}"
    );
    // "Attempt recovered after RM restart" may stand before.
    assert!(report.diagnostics.ends_with(said), "{}", report.diagnostics);
    kobel_kit::wait::until("its containers are gone", PROMPT, || {
        if containers_of(cluster, id) > 0 { Err(format!("{:?}", cluster.containers())) } else { Ok(()) }
    });
}

#[tokio::test]
async fn a_master_runs_a_container_and_learns_how_it_ended() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let rm = client(&cluster);
    let id = start_master(&cluster, &rm, "runs_one_container").await;
    ends_well(&cluster, &rm, id, master::RAN).await;
}

#[tokio::test]
async fn a_master_goes_on_after_the_resource_manager_was_killed() {
    let Some(hadoop) = Hadoop::from_env() else { return };
    let cluster = Cluster::start(&hadoop, setup());
    let rm = client(&cluster);
    let id = start_master(&cluster, &rm, "outlives_a_resource_manager").await;
    until(&rm, id, "it runs", |report| report.state == AppState::Running).await;
    kobel_kit::wait::until("its first container runs", PROMPT, || {
        if containers_of(&cluster, id) == 2 { Ok(()) } else { Err(format!("{:?}", cluster.containers())) }
    });
    cluster.yarn().resource_manager.kill9();
    cluster.yarn().resource_manager.start();
    ends_well(&cluster, &rm, id, master::OUTLIVED).await;
}
