//! TaskManagers that come when jobs need them, and go.

use super::*;

fn up_to_three(plan: &mut ClusterPlan) {
    plan.wanted.task_managers = 0;
    plan.max_task_managers = Some(3);
    plan.conf.insert("taskmanager.numberOfTaskSlots".into(), "2".into());
    plan.conf.insert("resourcemanager.taskmanager-timeout".into(), "300".into());
}

fn job(tasks: u32, finished: u32) -> Option<Job> {
    Some(Job { tasks, finished, hidden: 0 })
}

impl Fixture {
    /// Waits until so many are registered, and no other is there.
    async fn task_managers(&mut self, running: u32) -> Status {
        let so = |status: &Status| {
            let tms = &status.task_managers;
            (tms.running, tms.wanted, tms.list.len()) == (running, running, running as usize)
        };
        self.until(&format!("{running} TaskManagers"), so).await
    }

    fn scalings(&self) -> Vec<String> {
        let events = last_events(&fs::read_to_string(self.dir.events()).unwrap(), 99);
        let scaled = events.into_iter().filter(|event| event.kind == EventKind::Scaled);
        scaled.map(|event| event.message).collect()
    }
}

#[tokio::test]
async fn task_managers_come_as_jobs_need_them_and_go_when_they_were_idle() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = Fixture::start_in(tmp.path(), World::default(), up_to_three).await;
    let ready = agent.state(ClusterState::Ready).await;
    assert_eq!((ready.task_managers.pinned, agent.world.asked()), (0, vec!["ensure jm-0.1".to_string()]));
    agent.world.have_job(job(3, 0));
    assert_eq!(call(port_of(&ready), "POST /jars/x/run", "{}").await.status, 200);
    let two = agent.task_managers(2).await;
    assert_eq!((two.state, two.task_managers.pinned), (ClusterState::Ready, 0));
    agent.world.have_job(job(9, 0));
    agent.task_managers(3).await;
    assert_eq!(agent.world.asked(), ["ensure tm-0.1", "ensure tm-1.1", "ensure tm-2.1"]);

    agent.world.have_job(job(3, 0));
    agent.task_managers(2).await;
    agent.scale(ScaleRequest::TaskManagersTo(1)).await;
    let pinned = agent.until("one pinned", |status| status.task_managers.pinned == 1).await;
    assert_eq!(pinned.task_managers.wanted, 2, "the job needs the other one");
    // What ran there may still be read.
    agent.world.have_job(job(1, 4));
    agent.until("one slot in use", |status| status.slots.free == 3).await;
    agent.world.have_job(job(2, 0));
    agent.task_managers(1).await;
    let scalings = [
        "1 job needs 3 more slots: 2 TaskManagers",
        "1 job needs 5 more slots: 3 TaskManagers, the most",
        "1 TaskManager was idle for 300ms: 2 TaskManagers",
        "scaled to 1 JobManagers, 1 TaskManagers",
        "1 TaskManager was idle for 300ms: 1 TaskManager",
    ];
    assert_eq!(agent.scalings(), scalings);
    agent.stop(0, "stop").await;
    agent.ended().await;
}

#[tokio::test]
async fn what_a_running_job_has_left_on_a_task_manager_keeps_it() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = Fixture::start_in(tmp.path(), World::default(), up_to_three).await;
    agent.state(ClusterState::Ready).await;
    agent.world.have_job(job(4, 0));
    agent.task_managers(2).await;
    agent.world.have_job(job(1, 3));
    agent.until("one slot in use", |status| status.slots.free == 3).await;
    // The second question comes after the first one's answer has changed nothing.
    soon("two questions for results", async {
        while agent.world.results_asked() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(agent.world.live(), ["jm-0.1", "tm-0.1", "tm-1.1"]);
    agent.world.have_job(job(0, 0));
    agent.task_managers(0).await;
    agent.stop(0, "stop").await;
    agent.ended().await;
}

#[tokio::test]
async fn a_returning_agent_keeps_what_jobs_need() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = Fixture::start_in(tmp.path(), World::default(), up_to_three).await;
    agent.state(ClusterState::Ready).await;
    agent.world.have_job(job(4, 0));
    agent.task_managers(2).await;
    for record in ["kept", "lost"] {
        agent.kill_agent().await;
        agent.world.asked();
        if record == "lost" {
            fs::write(agent.dir.record(), "{").unwrap();
        }
        agent = Fixture::start_in(tmp.path(), agent.world.clone(), up_to_three).await;
        let back = agent.task_managers(2).await;
        assert_eq!((back.task_managers.pinned, agent.world.asked()), (0, vec![]), "{record}");
    }
    agent.stop(0, "stop").await;
    agent.ended().await;
}

#[tokio::test]
async fn a_job_that_waits_although_it_seems_to_have_its_slots_gets_more() {
    let tmp = tempfile::tempdir().unwrap();
    let mut agent = Fixture::start_in(tmp.path(), World::default(), up_to_three).await;
    agent.state(ClusterState::Ready).await;
    agent.world.have_job(Some(Job { tasks: 2, finished: 0, hidden: 2 }));
    agent.task_managers(2).await;
    let scalings = ["1 job needs 2 more slots: 1 TaskManager", "1 job needs 2 more slots: 2 TaskManagers"];
    assert_eq!(agent.scalings(), scalings);
    agent.stop(0, "stop").await;
    agent.ended().await;
}
