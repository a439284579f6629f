//! Who leads: without high availability the one JobManager there is, with it the one that ZooKeeper names. And what
//! follows when it is lost.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kobel_conf::chain;
use kobel_flink::{
    ha::{ConnectionInfo, LeaderNode, LeaderView, SessionId},
    launch::REST_HOST,
};
use kobel_plan::{EventKind, HaPlan, Phase, Role, WorkerEvent, WorkerId};

use super::{Supervisor, outage::Outage};
use crate::{
    election::{Master, News, rest_address},
    observe::{Observation, Target},
    reconcile::{Told, Worker, is_wanted},
    record::{EndKind, Ending},
};

/// Jobs that do not run again by then, nobody waits for any more.
const PATIENCE: Duration = Duration::from_secs(300);
/// So long a new standby waits for the jobs to run again under the next leader: the start of a JVM takes the time
/// of a core for seconds, just when every moment of it counts.
const MAKE_WAY: Duration = Duration::from_secs(3);

/// What is known of the lead.
#[derive(Debug, Default)]
pub(super) struct Lead {
    /// The living JobManager that ZooKeeper names. While ZooKeeper does not answer, the one it named last.
    named: Option<Master>,
    /// What each JobManager that led has published.
    published: BTreeMap<Master, Published>,
    /// A leader that was lost and is not made up for yet.
    lost: Option<Lost>,
    /// The last leader that was killed because another one leads.
    deposed: Option<Master>,
    /// When ZooKeeper was silent last, if it was.
    pub(super) outage: Option<Outage>,
}

/// What a leader tells the others.
#[derive(Debug, Clone)]
pub(super) struct Published {
    /// Its session.
    pub(super) session: Option<SessionId>,
    /// Its REST API's address.
    pub(super) text: String,
    /// The same, to be dialled.
    pub(super) address: Option<SocketAddr>,
}

/// A leader that is gone.
#[derive(Debug, Clone, Copy)]
struct Lost {
    master: Master,
    at: Instant,
    /// The jobs that ran then.
    jobs: u32,
    /// When another one led.
    succeeded: Option<Duration>,
    /// When its place would have been filled again, had that not to wait.
    put_off: Option<Instant>,
}

impl Published {
    fn new(session: Option<SessionId>, info: &ConnectionInfo) -> Self {
        let address = || {
            let url = info.rest_url()?;
            // Flink publishes what it has bound: an address, not a name (`RestServerEndpoint`).
            let host: IpAddr = url.host_str()?.trim_matches(['[', ']']).parse().ok()?;
            Some((host, url.port_or_known_default()?).into())
        };
        Self { session, text: info.address.clone(), address: address() }
    }
}

impl Lead {
    /// What this JobManager published when it led last.
    pub(super) fn published(&self, master: Master) -> Option<&Published> {
        self.published.get(&master)
    }

    /// Whether jobs are expected to run again.
    pub(super) fn awaits_jobs(&self) -> bool {
        self.lost
            .is_some_and(|lost| lost.jobs > 0 && lost.succeeded.is_some() && lost.at.elapsed() < PATIENCE)
    }
}

impl Supervisor {
    /// The JobManager process to ask and to forward to.
    pub(super) fn target(&self) -> Option<Target> {
        self.leader(Worker::stays)
    }

    /// Where the front forwards to. A JobManager whose job is over stays, when it is told to go, until whoever had a
    /// savepoint made has heard where that is (`DispatcherOperationCaches`): so it is to be heard.
    pub(super) fn upstream(&self) -> Option<SocketAddr> {
        let leaving = || self.leader(Worker::leaving).filter(|_| self.is_job_over());
        self.target().or_else(leaving).map(|target| target.rest)
    }

    fn leader(&self, is: impl Fn(&Worker) -> bool) -> Option<Target> {
        let is_master = |id: &WorkerId| id.role == Role::JobManager && is_wanted(self.record.wanted, *id);
        let leads = |master: Master| self.plan.ha.is_none() || self.lead.named == Some(master);
        let mut masters = self.table.live().filter(|(id, worker)| is_master(id) && is(worker));
        let (id, worker) = masters.find(|(id, worker)| leads((*id, worker.attempt)))?;
        let of = (id, worker.attempt);
        Some(Target { of, rest: self.rest_server(of)? })
    }

    /// The living JobManagers beside the one that is known to lead.
    pub(super) fn standbys(&self) -> Vec<Master> {
        let mut masters = self.living_masters();
        match self.lead.named.filter(|leader| masters.contains(leader)) {
            Some(leader) => masters.retain(|master| *master != leader),
            None => masters.clear(),
        }
        masters
    }

    /// What ZooKeeper tells.
    pub(super) async fn on_election(&mut self, news: News) {
        match news {
            News::Leader(LeaderView::Seen(node)) => {
                self.zookeeper_answers();
                self.on_leader_node(&node);
                self.strike_deposed();
            }
            News::Leader(LeaderView::Unknown(error)) => self.zookeeper_is_silent(error.as_ref()),
            News::Hangs(master) => self.on_hanging(master),
            News::NotStruck(master) => self.let_go_of(master).await,
            News::Fenced { of, outcome, took } => self.on_fenced(of, outcome, took),
        }
    }

    /// A JobManager that is deaf is of no use, and may hold the lead for as long as its session lasts.
    fn on_hanging(&mut self, master @ (id, attempt): Master) {
        if !self.stays(master) {
            return;
        }
        let name = id.attempt_name(attempt);
        let silence = self.plan.ha.as_ref().map(HaPlan::silence).unwrap_or_default();
        let message = format!("{name} has not answered for {silence:?}, and is killed");
        self.event(EventKind::WorkerHangs, Some(id), message);
        self.strike(master);
    }

    /// A container that is killed ends as its process did, which is proof; of one that is given back nothing is. It is
    /// not waited for: its node may be out of reach, and there is a leader to turn to meanwhile.
    pub(super) fn strike(&self, master: Master) {
        if let Some(election) = &self.outputs.election {
            election.strike(self.provider.clone(), master);
        }
    }

    /// One that could not be killed.
    async fn let_go_of(&mut self, master @ (id, attempt): Master) {
        if self.stays(master) {
            self.release(id, attempt, Duration::ZERO).await;
        }
    }

    fn stays(&self, (id, attempt): Master) -> bool {
        self.table.get(id).is_some_and(|worker| worker.attempt == attempt && worker.stays())
    }

    /// Who led and is cut off from ZooKeeper takes itself for the leader until it hears better: Flink tolerates a
    /// connection that is suspended, and may complete a checkpoint though another one leads.
    fn strike_deposed(&mut self) {
        let Some((former, leader)) = self.deposed() else { return };
        let (name, leads) = (former.0.attempt_name(former.1), leader.0.attempt_name(leader.1));
        let message = format!("{leads} leads now: {name}, which may not know, is killed");
        self.event(EventKind::LeaderDeposed, Some(former.0), message);
        self.lead.deposed = Some(former);
        self.strike(former);
    }

    /// The one that led and lives, and the one that leads now. After an outage of ZooKeeper all hear of it at once.
    fn deposed(&self) -> Option<(Master, Master)> {
        let leader = self.lead.named?;
        let former = self.record.leader.filter(|former| *former != leader)?;
        let is_new = self.lead.deposed != Some(former);
        let hears = self.lead.outage.is_some_and(Outage::is_to_blame);
        (is_new && self.stays(former) && !hears).then_some((former, leader))
    }

    /// Has the living JobManagers watched.
    pub(super) fn watch_over_masters(&self) {
        let Some(election) = &self.outputs.election else { return };
        let runs = |(id, worker): (WorkerId, &Worker)| {
            let here = id.role == Role::JobManager && worker.place().is_some() && worker.stays();
            let of = Some((id, worker.attempt)).filter(|_| here)?;
            Some(Target { of, rest: self.rest_server(of)? })
        };
        election.watch_over(self.table.live().filter_map(runs).collect());
    }

    fn on_leader_node(&mut self, node: &LeaderNode) {
        let LeaderNode::Known { znode, info } = node else {
            self.lead.named = None;
            return;
        };
        let spread = self.plan.spreads_masters();
        let is_it =
            |id: &WorkerId| self.record.ports.get(id).is_some_and(|ports| is_of(info, ports.rest, spread));
        let master = self.living_masters().into_iter().find(|(id, _)| is_it(id));
        match master {
            Some(master) => drop(self.lead.published.insert(master, Published::new(znode.owner, info))),
            None => {
                tracing::warn!(address = info.address, "a JobManager leads that is none of this cluster's")
            }
        }
        self.lead.named = master;
        self.note_formers();
    }

    /// A JobManager's process is over.
    pub(super) fn master_gone(&mut self, event: &WorkerEvent, told: Told) {
        let master = (event.id, event.attempt);
        let led = self.record.leader == Some(master);
        if let Phase::Exited(exit) = &event.phase {
            self.fence(master, exit);
        }
        if self.lead.named == Some(master) {
            self.lead.named = None;
        }
        let jobs =
            self.observed.take_if(|observed| observed.of == master).map(|observed| observed.jobs.running);
        if !led {
            return;
        }
        let name = event.id.attempt_name(event.attempt);
        self.event(EventKind::LeaderLost, Some(event.id), format!("{name} led, and is gone"));
        let jobs = jobs.unwrap_or(self.record.status.jobs.running);
        let at = Instant::now();
        let others = self.living_masters().iter().any(|other| other.0 != master.0);
        let put_off = if others { self.table.put_off(master.0, at + MAKE_WAY) } else { None };
        self.lead.lost = Some(Lost { master, at, jobs, succeeded: None, put_off });
        if told == Told::Released && self.plan.ha.is_none() {
            // Its successor takes over from nobody.
            self.record.leader = None;
        }
    }

    /// What the observer heard.
    pub(super) fn on_answer(&mut self, answer: Option<Observation>) {
        let living = self.target().map(|target| target.of);
        self.observed = answer.filter(|answer| Some(answer.of) == living);
        let Some(leader) = self.observed.as_ref().map(|observed| observed.of) else { return };
        if self.record.leader != Some(leader) {
            self.leader_changed(leader);
        }
        self.jobs_are_back();
    }

    fn leader_changed(&mut self, leader: Master) {
        let name = leader.0.attempt_name(leader.1);
        let since = self.lead.lost.as_mut().map(|lost| {
            let took = lost.at.elapsed();
            lost.succeeded = Some(took);
            format!(", {took:.1?} after {} was lost", lost.master.0.attempt_name(lost.master.1))
        });
        let former = self.record.leader.replace(leader);
        self.record.leading_since = Some(Timestamp::now());
        if former.is_some() {
            self.record.status.failovers += 1;
        }
        self.event(
            EventKind::LeaderElected,
            Some(leader.0),
            format!("{name} leads{}", since.unwrap_or_default()),
        );
    }

    /// A new standby may come now.
    fn is_made_up_for(&mut self, lost: Lost) {
        self.lead.lost = None;
        if let Some(at) = lost.put_off {
            self.table.come_at(lost.master.0, at);
        }
    }

    /// After a change of leaders: do all jobs run again?
    fn jobs_are_back(&mut self) {
        let (Some(lost), Some(observed)) = (self.lead.lost, &self.observed) else { return };
        let Some(took) = lost.succeeded else { return };
        if lost.jobs == 0 || lost.at.elapsed() >= PATIENCE {
            self.is_made_up_for(lost);
        } else if observed.not_running == Some(0) && observed.jobs.running >= lost.jobs {
            let (jobs, all) = (observed.jobs.running, lost.at.elapsed());
            let id = observed.of.0;
            self.is_made_up_for(lost);
            self.event(
                EventKind::JobsRunning,
                Some(id),
                format!("{jobs} of {} jobs run again after {all:.1?}, led after {took:.1?}", lost.jobs),
            );
        }
    }

    /// Removes what high availability leaves of a cluster that ended well.
    pub(super) async fn clean_up_ha(&mut self, ending: &Ending) {
        let (Some(election), Some(ha)) = (&self.outputs.election, &self.plan.ha) else { return };
        let well = ending.kind == EndKind::Stopped || self.is_job_over();
        if !well || ending.keep_ha || ha.keep {
            return;
        }
        for error in election.clean_up(&self.plan, ha, &self.dir).await {
            let what = chain(&error);
            tracing::warn!(error = what, "something is left of the cluster's high availability");
            self.event(EventKind::HaLeft, None, what);
        }
    }
}

/// Whether this is what a JobManager publishes whose REST server has that port. Where JobManagers are spread over
/// several machines nobody knows by which of its addresses a node calls itself; but no two of a cluster's have the same
/// port.
fn is_of(info: &ConnectionInfo, port: u16, spread: bool) -> bool {
    match spread {
        false => info.address == rest_address(REST_HOST, port),
        true => info.rest_url().and_then(|url| url.port_or_known_default()) == Some(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(address: &str) -> ConnectionInfo {
        ConnectionInfo { address: address.into(), leadership: 1 }
    }

    #[test]
    fn a_leader_is_known_by_its_address_and_one_on_another_machine_by_its_port() {
        let here = info("http://127.0.0.1:20001");
        assert_eq!(
            [(20001, false), (20001, true)].map(|(port, spread)| is_of(&here, port, spread)),
            [true; 2]
        );
        assert!(!is_of(&here, 20002, false) && !is_of(&here, 20002, true));
        let there = info("http://10.1.2.3:20001");
        assert!(!is_of(&there, 20001, false) && is_of(&there, 20001, true));
        assert!(!is_of(&info("ftp://10.1.2.3:20001"), 20001, true));
    }

    #[test]
    fn what_is_published_can_be_dialled() {
        let address = |text| Published::new(None, &info(text)).address.map(|address| address.to_string());
        assert_eq!(address("http://10.1.2.3:20001").as_deref(), Some("10.1.2.3:20001"));
        assert_eq!(address("http://[fe80::1]:20001").as_deref(), Some("[fe80::1]:20001"));
        assert_eq!(address("http://nm7:20001"), None);
    }
}
