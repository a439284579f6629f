//! Where JobManagers listen, and what each worker is told of it.

use std::net::{Ipv4Addr, SocketAddr};

use kobel_flink::{JobManagerPorts, LaunchError, Peers, launch::REST_HOST, worker_spec};
use kobel_plan::{Attempt, ClusterPlan, PortChoice, Role, WorkerId, WorkerSpec, yarn::is_masters_own};

use super::{Supervisor, act::GRACE};
use crate::{
    election::{Master, rest_address},
    ports::{Hosts, PortError, Ports},
    recall::Note,
};

impl Supervisor {
    /// What a provider is to run for this attempt of a worker.
    pub(super) fn spec(&self, id: WorkerId, attempt: Attempt) -> Result<WorkerSpec, LaunchError> {
        let note = self.note(id);
        let job_manager = note.ports.map(|Ports { rpc, rest }| JobManagerPorts { rpc, rest });
        let peers = Peers { job_manager, zookeeper: note.zookeeper };
        let marker = format!("{}/{}", self.dir.path().display(), id.attempt_name(attempt));
        let mut spec = worker_spec(&self.plan, &peers, id, attempt, &marker)?;
        note.leave_with(&mut spec);
        Ok(spec)
    }

    /// What a worker that is launched now is told.
    pub(super) fn note(&self, id: WorkerId) -> Note {
        let whose = match id.role {
            Role::JobManager => Some(id),
            // ZooKeeper tells it.
            Role::TaskManager if self.plan.ha.is_some() => None,
            Role::ZooKeeper => None,
            Role::TaskManager => Some(WorkerId::jm(0)),
        };
        Note {
            plan: self.stamp,
            front: self.record.front_port,
            ports: whose.and_then(|whose| self.record.ports.get(&whose)).copied(),
            zookeeper: self.record.zookeeper_port,
        }
    }

    /// Makes sure that these workers have ports, their own or those they are to know.
    pub(super) async fn choose_ports(&mut self, ensures: &[(WorkerId, Attempt)]) -> Result<(), PortError> {
        let mut masters: Vec<_> =
            ensures.iter().map(|(id, _)| *id).filter(|id| id.role == Role::JobManager).collect();
        let starts_one = !masters.is_empty();
        // TaskManagers may come first, and must know even so.
        if self.plan.ha.is_none() && !starts_one {
            masters.push(WorkerId::jm(0));
        }
        for master in masters {
            self.choose_ports_of(master, starts_one).await?;
        }
        Ok(())
    }

    /// A JobManager's ports: those it had. If another process took them while it was down, or from under it
    /// before it listened, it gets others, and TaskManagers that know the old ones only are replaced.
    async fn choose_ports_of(&mut self, master: WorkerId, starts: bool) -> Result<(), PortError> {
        if self.plan.spreads_masters() && !is_masters_own(master) {
            let taken: Vec<u16> = self.record.ports.values().map(|ports| ports.rest).collect();
            self.record.ports.insert(master, Ports::elsewhere(&taken)?);
            return Ok(());
        }
        let (hosts, former) = (self.hosts(), self.record.ports.get(&master).copied());
        if let Some(ports) = former {
            let still_free = blocking(move || ports.are_free(&hosts));
            if !starts || still_free.await? {
                return Ok(());
            }
        }
        self.reserved.remove(&master);
        let (hosts, rpc, rest) = (self.hosts(), self.plan.rpc_port, self.web_port(master));
        let (ports, reserved) = blocking(move || Ports::choose(&hosts, rpc, rest)).await??;
        self.reserved.insert(master, reserved);
        self.record.ports.insert(master, ports);
        if let Some(former) = former {
            tracing::warn!(%master, ?former, now = ?ports, "its ports were taken: it gets others");
            self.table.forgive(master);
            if self.plan.ha.is_none() {
                self.replace_task_managers().await;
            }
        }
        Ok(())
    }

    /// Where a JobManager's REST server shall listen: a standby's where the `masters` file has it. The first one's
    /// place is the front's.
    fn web_port(&self, master: WorkerId) -> PortChoice {
        let index = usize::try_from(master.index).ok().filter(|index| *index > 0);
        let asked = index.and_then(|index| self.plan.ha.as_ref()?.web_ports.get(index).copied());
        asked.filter(|port| *port > 0).map_or(PortChoice::Free, PortChoice::Prefer)
    }

    async fn replace_task_managers(&mut self) {
        let workers = self.table.iter().map(|(id, worker)| (id, worker.attempt));
        let workers: Vec<_> = workers.filter(|(id, _)| id.role == Role::TaskManager).collect();
        for (id, attempt) in workers {
            self.release(id, attempt, GRACE).await;
        }
    }

    /// Where a JobManager of this machine binds its ports.
    fn hosts(&self) -> Hosts {
        let ClusterPlan { conf, rpc_address, .. } = &self.plan;
        let rest = if self.plan.spreads_masters() { rpc_address.as_str() } else { REST_HOST };
        Hosts { rpc: conf.get("jobmanager.bind-host").unwrap_or(rpc_address).clone(), rest: rest.into() }
    }

    /// Where a JobManager's own REST server is, as far as it is known: on another machine only of one that has led.
    pub(super) fn rest_server(&self, master: Master) -> Option<SocketAddr> {
        let Ports { rest, .. } = self.record.ports.get(&master.0)?;
        match self.plan.spreads_masters() {
            false => Some((Ipv4Addr::LOCALHOST, *rest).into()),
            true => self.lead.published(master)?.address,
        }
    }

    /// What it publishes as its REST server's address, as far as that is known.
    pub(super) fn rest_address(&self, master: Master) -> Option<String> {
        if let Some(published) = self.lead.published(master) {
            return Some(published.text.clone());
        }
        let Ports { rest, .. } = self.record.ports.get(&master.0)?;
        let is_here = !self.plan.spreads_masters() || is_masters_own(master.0);
        is_here.then(|| rest_address(&self.hosts().rest, *rest))
    }
}

/// Looking up a host name blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PortError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| PortError::Broken(error.to_string()))
}
