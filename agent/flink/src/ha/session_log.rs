//! Which ZooKeeper sessions a JobManager's process had, from a log file that holds nothing else
//! ([`crate::own_log::SESSIONS`]).
//!
//! ZooKeeper's client (`ClientCnxn.SendThread.onConnected`) logs at INFO that a session is established *before*
//! anybody can create a znode in it, and again whenever it reconnects.

use std::{io, path::Path, time::Duration};

use kobel_conf::file::file_end;

use super::SessionId;

/// What ZooKeeper's client says.
const ESTABLISHED: &str = "Session establishment complete on server ";
/// What stands before the session; releases before 3.6 have no space in it.
const IDS: [&str; 2] = [", session id = ", ", sessionid = "];
const TIMEOUT: &str = ", negotiated timeout = ";
/// What follows the timeout on a server that takes no writes.
const READ_ONLY: &str = " (READ-ONLY mode)";
/// Lines are about 150 bytes; of a file that grew beyond this in bytes, only the end is read.
const MAX_READ: u64 = 1 << 20;

/// The sessions that a process established.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionLog {
    sessions: Vec<(SessionId, Duration)>,
}

impl SessionLog {
    /// Reads the file; none when there is no such file.
    pub fn read(path: &Path) -> io::Result<Option<SessionLog>> {
        match file_end(path, MAX_READ) {
            Ok((_, bytes)) => Ok(Some(Self::parse(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The sessions in the text. Whatever is no such line is passed over, and so is a last line without its end,
    /// which may have lost digits.
    pub fn parse(text: &[u8]) -> SessionLog {
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut log = SessionLog::default();
        for line in text[..whole].split(|byte| *byte == b'\n') {
            if let Some((id, timeout)) = std::str::from_utf8(line).ok().and_then(established) {
                log.sessions.retain(|(known, _)| *known != id);
                log.sessions.push((id, timeout));
            }
        }
        log
    }

    /// All of them, the one established last at the end.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.sessions.iter().map(|(id, _)| *id).collect()
    }

    /// The session established last.
    pub fn newest(&self) -> Option<SessionId> {
        self.sessions.last().map(|(id, _)| *id)
    }

    /// How long ZooKeeper keeps the newest session when nothing is heard of it.
    pub fn granted(&self) -> Option<Duration> {
        self.sessions.last().map(|(_, timeout)| *timeout)
    }
}

/// The session in a line. A line that lost its end may have the next one glued to it, so the last message counts.
fn established(line: &str) -> Option<(SessionId, Duration)> {
    let message = &line[line.rfind(ESTABLISHED)? + ESTABLISHED.len()..];
    let (_, rest) = IDS.iter().find_map(|id| message.split_once(id))?;
    let (id, timeout) = rest.split_once(TIMEOUT)?;
    let timeout = timeout.trim_end_matches('\r');
    let timeout = timeout.strip_suffix(READ_ONLY).unwrap_or(timeout);
    let timeout: u32 = timeout.bytes().all(|b| b.is_ascii_digit()).then(|| timeout.parse().ok())??;
    Some((id.parse().ok()?, Duration::from_millis(timeout.into())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(id: &str) -> String {
        format!(
            "1795269000123 Session establishment complete on server zk1/10.0.0.1:2181, session id = {id}, negotiated timeout = 4000\n"
        )
    }

    fn parsed(text: &str) -> Vec<String> {
        SessionLog::parse(text.as_bytes()).sessions().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_session_counts_once_and_the_one_established_last_is_the_newest() {
        let text = [line("0x1"), line("0x2"), line("0x1")].concat();
        let log = SessionLog::parse(text.as_bytes());
        assert_eq!(parsed(&text), ["0x2", "0x1"]);
        assert_eq!((log.newest(), log.granted()), (SessionId::new(1), Some(Duration::from_secs(4))));
        assert_eq!(SessionLog::parse(b"").newest(), None);
    }

    #[test]
    fn other_text_between_is_passed_over() {
        let noise = "INFO  Socket connection established, initiating session\n\tat java.base/x\n\u{fffd}\n\n\
                     Session 0x7 for server x, Closing socket connection.\n";
        let text = [noise, &line("0x100000a01230001"), noise, &line("0x9").replace('\n', "\r\n")].concat();
        assert_eq!(parsed(&text), ["0x100000a01230001", "0x9"]);
        let raw = [b"\xff\xfe\n".as_slice(), line("0x5").as_bytes()].concat();
        assert_eq!(SessionLog::parse(&raw).newest(), SessionId::new(5));
    }

    #[test]
    fn a_line_of_any_zookeeper_is_read() {
        let old = "2026-01-01 10:00:00,123 INFO  org.apache.zookeeper.ClientCnxn [] - Session establishment complete on \
                   server localhost/127.0.0.1:2181, sessionid = 0x10, negotiated timeout = 40000 (READ-ONLY mode)\n";
        assert_eq!(SessionLog::parse(old.as_bytes()).granted(), Some(Duration::from_secs(40)));
        assert_eq!(parsed(old), ["0x10"]);
    }

    #[test]
    fn a_torn_line_gives_no_session_at_all() {
        let whole = line("0x100000a01230001");
        for end in 0..whole.len() {
            assert_eq!(parsed(&whole[..end]), [""; 0], "{:?}", &whole[..end]);
            let glued = format!("{}{}", &whole[..end], line("0x2"));
            assert_eq!(parsed(&glued), ["0x2"], "{glued}");
            let cut = format!("{}\n{}", &whole[..end], line("0x2"));
            let found = parsed(&cut);
            assert!(!found.iter().any(|id| id != "0x2" && id != "0x100000a01230001"), "{cut}: {found:?}");
        }
        for bad in ["0x0", "12", "0x10000000000000000", "0x1, x", ""] {
            assert_eq!(parsed(&line(bad)), [""; 0], "{bad}");
        }
    }

    #[test]
    fn a_missing_file_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jm-0.1.sessions.log");
        assert_eq!(SessionLog::read(&path).unwrap(), None);
        std::fs::write(&path, "").unwrap();
        assert_eq!(SessionLog::read(&path).unwrap(), Some(SessionLog::default()));
        std::fs::write(
            &path,
            [line("0x1"), "x".repeat(MAX_READ as usize), "\n".into(), line("0x2")].concat(),
        )
        .unwrap();
        assert_eq!(SessionLog::read(&path).unwrap().unwrap().newest(), SessionId::new(2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(
            bytes: Vec<u8>,
            text in r"(Session establishment complete on server |x, session id = 0x|[0-9a-f]{1,17}|, negotiated timeout = |[0-9]{1,11}|\n){0,12}",
        ) {
            let _ = SessionLog::parse(&bytes);
            let _ = SessionLog::parse(text.as_bytes());
        }

        #[test]
        fn every_session_is_found(ids in prop::collection::vec(1..i64::MAX, 0..20)) {
            let text: String = ids.iter().map(|id| line(&format!("{id:#x}"))).collect();
            let found = SessionLog::parse(text.as_bytes()).sessions();
            prop_assert!(ids.iter().all(|id| found.contains(&SessionId::new(*id).unwrap())));
            prop_assert!(found.iter().all(|id| ids.contains(&id.get())));
        }
    }
}
