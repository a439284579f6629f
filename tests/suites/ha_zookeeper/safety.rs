//! Row 38: whatever is done to processes and to what is known of them, the latch of one that lives stays.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant, SystemTime},
};

use kobel_flink::ha::{
    ClusterRoot, Death, Election, Evidence, Fenced, HaClient, Latches, LeaderNode, Refusal, SessionId,
    Sessions,
};
use kobel_kit::{Lab, hadoop, wait};

use super::{connect, holder::Standing, root, setup, wait_for};

/// Clusters side by side, the JobManagers of each, and what is done to each.
const LANES: usize = 4;
const STANDING: usize = 5;
const ROUNDS: usize = 125;
/// For what takes milliseconds, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trick {
    /// `kill -9`, reaped.
    Killed,
    /// The same of the leader, without a log: known by what it published.
    KilledLeaderWithoutLog,
    /// A zombie that another must judge.
    Zombie,
    /// Stopped, and silent.
    Stopped,
    /// Its node is lost, says YARN; it lives.
    NodeLost,
    /// Its log is taken for that of one that died.
    MixedLogs,
    /// Its pid was another's before.
    ReusedPid,
    /// The next attempt stands already, at the same address.
    Restarted,
    /// One that died had its znodes in another cluster.
    OtherCluster,
    /// Stopped until its session expired, then awake again with another one.
    Expired,
}

const TRICKS: [Trick; 9] = [
    Trick::Killed,
    Trick::Stopped,
    Trick::Zombie,
    Trick::NodeLost,
    Trick::KilledLeaderWithoutLog,
    Trick::MixedLogs,
    Trick::ReusedPid,
    Trick::Restarted,
    Trick::OtherCluster,
];
/// An expiry takes seconds.
const EXPIRE_EVERY: usize = 40;

#[test]
fn the_latch_of_a_living_job_manager_is_never_removed() {
    let Some(cluster) = hadoop::shared(setup) else { return };
    let server = cluster.zookeeper().address.clone();
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock").subsec_nanos();
    println!("seed {seed}");
    let since = Instant::now();
    let lanes: Vec<_> = (0..LANES)
        .map(|number| {
            let server = server.clone();
            thread::spawn(move || Lane::new(number, &server, seed).run())
        })
        .collect();
    let mut tally = Tally::default();
    for lane in lanes {
        tally.add(lane.join().expect("a lane"));
    }
    tally.times.sort();
    let times = &tally.times;
    println!(
        "row 38: {} rounds in {:.0} s with {} processes: {} fenced, {} refused, 0 latches of the living removed; \
         another leads {:.0} ms after the call (median of {}; {:.0} ms at most)",
        LANES * ROUNDS,
        since.elapsed().as_secs_f32(),
        tally.processes,
        tally.fenced,
        tally.refused,
        times[times.len() / 2].as_secs_f32() * 1000.0,
        times.len(),
        times[times.len() - 1].as_secs_f32() * 1000.0,
    );
    println!("{:?}", tally.tricks);
    assert_eq!(tally.tricks.len(), TRICKS.len() + 1, "every trick was played");
}

#[derive(Default)]
struct Tally {
    processes: usize,
    fenced: usize,
    refused: usize,
    tricks: BTreeMap<Trick, usize>,
    /// From the call until another leads.
    times: Vec<Duration>,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.processes += other.processes;
        self.fenced += other.fenced;
        self.refused += other.refused;
        self.times.extend(other.times);
        for (trick, count) in other.tricks {
            *self.tricks.entry(trick).or_default() += count;
        }
    }
}

struct Lane {
    lab: Lab,
    server: String,
    root: ClusterRoot,
    other: ClusterRoot,
    client: HaClient,
    living: Vec<Standing>,
    /// The last one that died, fenced.
    former: Option<Standing>,
    random: u64,
    tally: Tally,
}

impl Lane {
    fn new(number: usize, server: &str, seed: u32) -> Lane {
        let mut lane = Lane {
            lab: Lab::new(&format!("row-38-{number}")),
            server: server.into(),
            root: root(server, &format!("lane-{number}")),
            other: root(server, &format!("lane-{}", (number + 1) % LANES)),
            client: connect(server),
            living: Vec::new(),
            former: None,
            random: u64::from(seed) * 2 + 1 + number as u64,
            tally: Tally::default(),
        };
        for _ in 0..STANDING {
            lane.start_another(None);
        }
        lane.living_all_stand();
        lane
    }

    fn run(mut self) -> Tally {
        for round in 0..ROUNDS {
            let trick = if round % EXPIRE_EVERY == EXPIRE_EVERY - 1 {
                Trick::Expired
            } else {
                TRICKS[round % TRICKS.len()]
            };
            *self.tally.tricks.entry(trick).or_default() += 1;
            self.play(trick);
            while self.living.len() < STANDING {
                self.start_another(None);
            }
            self.living_all_stand();
        }
        let Lane { lab, living, former, tally, .. } = self;
        drop((living, former));
        lab.no_process_left();
        tally
    }

    fn play(&mut self, trick: Trick) {
        let victim = self.pick();
        match trick {
            Trick::Killed => {
                let mut dead = self.take(victim);
                dead.kill();
                let death = dead.reap();
                self.fence(dead, death);
            }
            Trick::KilledLeaderWithoutLog => self.kill_the_leader_by_its_address(),
            Trick::Zombie => {
                let mut dead = self.take(victim);
                assert_eq!(dead.by_pidfd(Duration::ZERO), Death::Unproven);
                dead.kill();
                let death = dead.by_pidfd(PATIENCE);
                assert_eq!(death, Death::PidfdReadable, "the zombie {} of {}", dead.pid, dead.address);
                self.fence(dead, death);
            }
            Trick::Stopped => {
                self.living[victim].signal("STOP");
                let death = self.living[victim].by_pidfd(Duration::from_millis(20));
                self.refuses(&self.of_living(victim, death), &self.root.clone());
                self.living[victim].signal("CONT");
            }
            Trick::NodeLost => {
                for (status, node_alive) in
                    [(-100, true), (-100, false), (137, false), (154, true), (-106, true)]
                {
                    let evidence = self.of_living(victim, Death::Container { status, node_alive });
                    self.refuses(&evidence, &self.root.clone());
                }
            }
            Trick::MixedLogs => self.mix_logs(victim),
            Trick::ReusedPid => self.reuse_the_pid(victim),
            Trick::Restarted => self.restart_before_the_fence(victim),
            Trick::OtherCluster => {
                let mut dead = self.take(victim);
                dead.kill();
                let death = dead.reap();
                self.refuses(&dead.evidence(death, Vec::new()), &self.other.clone());
                self.fence(dead, death);
            }
            Trick::Expired => self.expire(),
        }
    }

    fn kill_the_leader_by_its_address(&mut self) {
        let (owner, at) = self.leader();
        let mut dead = self.take(at);
        dead.kill();
        let death = dead.reap();
        let mut evidence = dead.evidence(death, self.alive());
        evidence.sessions = Sessions::Unknown;
        self.refuses(&evidence, &self.root.clone());
        evidence.sessions = Sessions::Observed(owner);
        self.fence_by(dead, &evidence);
    }

    /// The agent takes the log of one that lives for that of one that died.
    fn mix_logs(&mut self, victim: usize) {
        let (leader, _) = self.leader();
        let mut dead = self.take(victim);
        dead.kill();
        let death = dead.reap();
        for at in 0..self.living.len() {
            let mut evidence = dead.evidence(death, self.alive());
            evidence.sessions = Sessions::Logged(self.living[at].sessions());
            self.refuses(&evidence, &self.root.clone());
            // Even one that does not know who lives sees it where the leader is concerned.
            if dead.newest() == Some(leader) || self.living[at].newest() == Some(leader) {
                evidence.alive.clear();
                self.refuses(&evidence, &self.root.clone());
            }
        }
        self.fence(dead, death);
    }

    /// A record names the pid of one that lives, but the process it means is long gone.
    fn reuse_the_pid(&mut self, victim: usize) {
        let (pid, start) = (self.living[victim].pid, self.living[victim].start_time);
        assert_eq!(Standing::by_record(pid, start), Death::Unproven);
        self.refuses(&self.of_living(victim, Standing::by_record(pid, start)), &self.root.clone());
        let Some(former) = self.former.take() else { return };
        let gone = Standing::by_record(pid, start - 1);
        assert_eq!(gone, Death::ProcessGone);
        self.refuses(&former.evidence(gone, self.alive()), &self.root.clone());
        self.refuses(&former.evidence(gone, Vec::new()), &self.root.clone());
        self.former = Some(former);
    }

    /// The next attempt has the address of the one that died, and stands before that one is fenced.
    fn restart_before_the_fence(&mut self, victim: usize) {
        let mut dead = self.take(victim);
        dead.kill();
        let death = dead.reap();
        self.start_another(Some(dead.address.clone()));
        self.living_stand();
        self.fence(dead, death);
        self.living_stand();
        let former = self.former.take().expect("the one just fenced");
        self.refuses(&former.evidence(death, Vec::new()), &self.root.clone());
        self.former = Some(former);
    }

    fn expire(&mut self) {
        let (session, at) = self.leader();
        self.living[at].signal("STOP");
        wait::until("the session expires", PATIENCE, || {
            let owners = owners(&self.election());
            if owners.contains(&session) { Err(format!("{owners:?}")) } else { Ok(()) }
        });
        let mut evidence = self.of_living(at, Death::Unproven);
        self.refuses(&evidence, &self.root.clone());
        // Even a wrong proof finds nothing of a session that is over.
        evidence.death = Death::Reaped;
        self.refuses(&evidence, &self.root.clone());
        self.living[at].signal("CONT");
        wait::until("it has another session", PATIENCE, || match self.living[at].newest() {
            Some(new) if new != session => Ok(()),
            same => Err(format!("{same:?}")),
        });
        self.living_all_stand();
        let mut dead = self.take(at);
        dead.kill();
        let death = dead.reap();
        self.fence(dead, death);
    }

    /// Fences one that is dead, which must work, and waits until another leads if it did.
    fn fence(&mut self, dead: Standing, death: Death) {
        let evidence = dead.evidence(death, self.alive());
        self.fence_by(dead, &evidence);
    }

    fn fence_by(&mut self, dead: Standing, evidence: &Evidence) {
        let led =
            matches!(self.election().leader, LeaderNode::Known { znode, .. } if znode.owner == dead.newest());
        let since = Instant::now();
        let fenced = wait_for(self.client.fence(&self.root, evidence)).expect("an answer");
        let fence = match fenced {
            Fenced::Done(fence) => fence,
            // A machine under such load that ZooKeeper was first.
            Fenced::Refused(Refusal::NothingLeft) if dead.is_long_dead() => return self.former = Some(dead),
            Fenced::Refused(refusal) => panic!("{}: {refusal}", dead.address),
        };
        let removed = fence.paths();
        assert!(removed[0].contains("-latch-"), "{removed:?}");
        assert_eq!(removed.len(), if led { 4 } else { 1 }, "{removed:?}");
        if led {
            self.leader();
            self.tally.times.push(since.elapsed());
        }
        self.tally.fenced += 1;
        self.former = Some(dead);
    }

    fn refuses(&mut self, evidence: &Evidence, root: &ClusterRoot) {
        let before = owners(&self.election());
        let answer = wait_for(self.client.fence(root, evidence)).expect("an answer");
        let Fenced::Refused(refusal) = answer else { panic!("{evidence:?}: {answer:?}") };
        let proven = evidence.death.is_proven();
        assert_eq!(proven, !matches!(refusal, Refusal::NotProvenDead(_)), "{refusal}");
        let alive = self.alive();
        let still = owners(&self.election());
        assert!(before.iter().filter(|id| alive.contains(id)).all(|id| still.contains(id)), "{evidence:?}");
        self.tally.refused += 1;
    }

    fn of_living(&self, at: usize, death: Death) -> Evidence {
        let one = &self.living[at];
        let others = self.alive().into_iter().filter(|id| Some(*id) != one.newest());
        one.evidence(death, others.collect())
    }

    fn start_another(&mut self, address: Option<String>) {
        let number = self.tally.processes;
        self.tally.processes += 1;
        let address = address.unwrap_or_else(|| format!("http://127.0.0.1:{}", 10_000 + number));
        let name = format!("jm-{number}.sessions.log");
        self.living.push(Standing::start(&self.lab, &self.server, self.root.path(), &name, &address));
    }

    fn take(&mut self, at: usize) -> Standing {
        self.living.remove(at)
    }

    fn pick(&mut self) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % self.living.len()
    }

    fn alive(&self) -> Vec<SessionId> {
        self.living.iter().filter_map(Standing::newest).collect()
    }

    fn election(&self) -> Election {
        wait_for(self.client.election(&self.root)).expect("an election")
    }

    /// The leader's session, and which of the living it is.
    fn leader(&self) -> (SessionId, usize) {
        wait::until("one of the living leads", PATIENCE, || {
            let leader = self.election().leader;
            let LeaderNode::Known { znode, info } = &leader else { return Err(format!("{leader:?}")) };
            let is_it = |one: &Standing| one.newest() == znode.owner && one.address == info.address;
            let at = self.living.iter().position(is_it).ok_or_else(|| format!("{leader:?}"))?;
            Ok((znode.owner.ok_or("nobody's")?, at))
        })
    }

    /// Every one that lives stands, and one of them leads.
    fn living_all_stand(&self) {
        self.living_stand();
        self.leader();
    }

    /// Every one that lives has exactly one latch, in its newest session.
    fn living_stand(&self) {
        wait::until("all that live stand for election", PATIENCE, || {
            let owners = owners(&self.election());
            let stands = |one: &Standing| {
                one.newest().is_some_and(|id| owners.iter().filter(|o| **o == id).count() == 1)
            };
            let missing: Vec<_> =
                self.living.iter().filter(|one| !stands(one)).map(|one| one.newest()).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} not among {owners:?}")) }
        });
    }
}

fn owners(election: &Election) -> Vec<SessionId> {
    match &election.latches {
        Latches::Present { latches, .. } => latches.iter().filter_map(|latch| latch.owner).collect(),
        _ => Vec::new(),
    }
}
