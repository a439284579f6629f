//! Logs of containers as a NodeManager hands them out over REST
//! (`/ws/v1/node/containers/CONTAINER/logs/FILE`): each in a frame that tells its length.

/// A log, or its last part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerLog<'a> {
    /// How many bytes the whole log had when it was read.
    pub length: u64,
    /// Its last bytes, as many as were asked for; all of them if nothing was said.
    pub bytes: &'a [u8],
}

impl<'a> ContainerLog<'a> {
    /// Takes a log out of its frame (`LogToolUtils.outputContainerLog`). `last` is how many of its last bytes
    /// were asked for (`size=-N`). Nothing where what was sent is no such frame.
    pub fn parse(sent: &'a [u8], last: Option<u64>) -> Option<Self> {
        const MARK: &[u8] = b"\nLogContents:\n";
        let at = sent.windows(MARK.len()).position(|window| window == MARK)?;
        let head = std::str::from_utf8(&sent[..at]).ok()?;
        let length: u64 =
            head.lines().find_map(|line| line.strip_prefix("LogLength:"))?.trim().parse().ok()?;
        let present = usize::try_from(last.unwrap_or(length).min(length)).ok()?;
        Some(Self { length, bytes: sent[at + MARK.len()..].get(..present)? })
    }

    /// Where in the whole log its bytes begin.
    pub fn start(&self) -> u64 {
        self.length - self.bytes.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(length: usize, shown: &str) -> Vec<u8> {
        format!(
            "Container: container_1_0001_01_000001 on nm:8041\nLogAggregationType: LOCAL\n=====\n\
             LogType:agent.log\nLogLastModifiedTime:Sat Nov 21\nLogLength:{length}\nLogContents:\n{shown}\
             End of LogType:agent.log.This log file belongs to a running container\n***\n\n",
        )
        .into()
    }

    #[test]
    fn a_log_comes_out_of_its_frame_whole() {
        for log in ["", "one\n", "no line break", "\nLogContents:\nLogLength:0\nEnd of LogType:x\n", "ü\n"] {
            let sent = framed(log.len(), log);
            let parsed = ContainerLog::parse(&sent, None).unwrap();
            assert_eq!((parsed.bytes, parsed.start()), (log.as_bytes(), 0), "{log:?}");
        }
        for other in ["", "404", "LogLength:9\nLogContents:\nshort", "LogLength:x\nLogContents:\n"] {
            assert_eq!(ContainerLog::parse(other.as_bytes(), None), None, "{other:?}");
        }
    }

    #[test]
    fn a_last_part_knows_where_it_begins() {
        let sent = framed(100, "0123456789");
        let part = ContainerLog::parse(&sent, Some(10)).unwrap();
        assert_eq!((part.bytes, part.length, part.start()), (&b"0123456789"[..], 100, 90));
        let sent = framed(3, "abc");
        assert_eq!(ContainerLog::parse(&sent, Some(10)).unwrap().start(), 0);
    }

    proptest! {
        #[test]
        fn whatever_a_node_sends_gives_an_answer(
            sent in proptest::collection::vec(any::<u8>(), 0..200), last in proptest::option::of(any::<u64>()),
        ) {
            let _ = ContainerLog::parse(&sent, last).map(|log| log.start());
        }
    }
}
