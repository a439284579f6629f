//! Finds what a former agent left: by the records in the workers' directories, and without them by
//! the marker in the processes' environment.

use std::{collections::BTreeMap, fs, io, path::Path};

use kobel_plan::{Launch, WorkerId};
use tracing::{info, warn};

use super::{
    Key,
    identity::ProcessIdentity,
    launch::remove_worker_dir,
    places::Places,
    process::Process,
    record::Record,
    scan::{Seen, kill_remains, own_processes, variable},
    table::Note,
};
use crate::ProviderError;

/// Takes over the living workers, and clears away what the dead ones left. Blocks on the disk.
pub(super) fn recover(places: &Places) -> Result<Vec<(Key, Process, Note)>, ProviderError> {
    let mut traces: BTreeMap<Key, Vec<Seen>> = BTreeMap::new();
    for key in recorded(places.workers())? {
        traces.entry(key).or_default();
    }
    let seen = own_processes().map_err(ProviderError::io("look for workers in", "/proc"))?;
    for seen in seen {
        if let Some(key) = marked_key(places, &seen) {
            traces.entry(key).or_default().push(seen);
        }
    }
    let mut adopted = Vec::new();
    for (key @ (id, attempt), seen) in traces {
        let name = id.attempt_name(attempt);
        // In doubt, as without a pidfd to be had, nothing is cleared away: the worker may live.
        match revive(places, key, &seen).map_err(ProviderError::io("adopt", &name))? {
            Some(process) => {
                let note = variable(process.identity().pid, Launch::NOTE);
                adopted.push((key, process, note));
            }
            None => clear_away(places, &name),
        }
    }
    Ok(adopted)
}

/// The attempts that have a directory.
fn recorded(workers: &Path) -> Result<Vec<Key>, ProviderError> {
    let names = fs::read_dir(workers).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()
    });
    let names = names.map_err(ProviderError::io("list", workers.display()))?;
    Ok(names.iter().filter_map(|name| WorkerId::parse_attempt_name(name).ok()).collect())
}

fn marked_key(places: &Places, seen: &Seen) -> Option<Key> {
    let name = places.marked_name(seen.marker.as_deref()?)?;
    WorkerId::parse_attempt_name(name).ok()
}

/// Adopts this attempt if its process lives: the one in the record, else one that has the marker.
fn revive(places: &Places, (id, attempt): Key, seen: &[Seen]) -> io::Result<Option<Process>> {
    let (name, dir) = (id.attempt_name(attempt), places.worker(&id.attempt_name(attempt)));
    let recorded = match Record::read(&dir, id, attempt) {
        Ok(record) => Some(record.process),
        Err(error) => {
            info!(worker = name, %error, "no record of a worker, looking for its process");
            None
        }
    };
    if let Some(process) = recorded.as_ref().map(Process::adopt).transpose()?.flatten() {
        info!(worker = name, pid = process.identity().pid, "adopted");
        return Ok(Some(process));
    }
    let Some(identity) = marked_worker(seen, recorded.as_ref()) else { return Ok(None) };
    let Some(process) = Process::adopt(identity)? else { return Ok(None) };
    info!(worker = name, pid = identity.pid, "adopted by its marker");
    if let Err(error) = (Record { id, attempt, process: identity.clone() }).write(&dir) {
        warn!(worker = name, %error, "could not record a worker's process");
    }
    Ok(Some(process))
}

/// The worker among the processes that have its marker: the one that was there before all others.
/// If there is a record that fits no living process, it is damaged or the worker is dead. A damaged
/// one is wrong in one place; of a dead worker's descendants none has its pid or start time.
fn marked_worker<'a>(seen: &'a [Seen], recorded: Option<&ProcessIdentity>) -> Option<&'a ProcessIdentity> {
    let near = |identity: &ProcessIdentity| {
        recorded.is_none_or(|r| r.pid == identity.pid || r.start_time_ticks == identity.start_time_ticks)
    };
    let candidates = seen.iter().filter(|seen| seen.may_be_a_worker()).map(|seen| &seen.identity);
    candidates.filter(|identity| near(identity)).min_by_key(|identity| identity.start_time_ticks)
}

fn clear_away(places: &Places, name: &str) {
    match kill_remains(None, &places.marker(name)) {
        Ok(0) => {}
        Ok(killed) => info!(worker = name, killed, "killed what a dead worker left"),
        Err(error) => warn!(worker = name, %error, "could not kill what a dead worker left"),
    }
    remove_worker_dir(&places.worker(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pid: i32, group: i32, session: i32, start_time_ticks: u64) -> Seen {
        let identity = ProcessIdentity { pid, start_time_ticks, boot_id: "b".into() };
        Seen { identity, group, session, marker: None }
    }

    #[test]
    fn the_worker_is_the_eldest_leader_of_a_group_within_our_session() {
        // The worker, its plain child, its daemon, and a child with job control.
        let all = [seen(12, 12, 12, 90), seen(14, 14, 5, 120), seen(10, 10, 5, 100), seen(11, 10, 5, 100)];
        assert_eq!(marked_worker(&all, None).unwrap().pid, 10);
        assert_eq!(marked_worker(&all[..1], None), None);
    }

    #[test]
    fn a_record_that_is_wrong_in_one_place_is_damaged_and_else_the_worker_is_dead() {
        let living = [seen(10, 10, 5, 100)];
        let record = living[0].identity.clone();
        let pid = ProcessIdentity { pid: 11, ..record.clone() };
        let start = ProcessIdentity { start_time_ticks: 101, ..record.clone() };
        let boot = ProcessIdentity { boot_id: "c".into(), ..record.clone() };
        for damaged in [pid, start, boot] {
            assert!(marked_worker(&living, Some(&damaged)).is_some(), "{damaged:?}");
        }
        let dead = ProcessIdentity { pid: 9, start_time_ticks: 99, ..record };
        assert_eq!(marked_worker(&living, Some(&dead)), None);
    }
}
