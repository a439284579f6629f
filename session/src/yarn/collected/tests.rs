use std::io::{self, Write};

use flate2::{Compression as Level, write::ZlibEncoder};
use kobel_conf::Explain;
use kobel_hadoop_rpc::yarn::{AppState, FinalStatus};
use proptest::prelude::*;

use super::{
    error::Stopped,
    file::{Parts, read},
    records::TAIL,
    tfile::{Region, number_or_end},
    *,
};

const MARK: &[u8] = b"\xd1\x11\xd3\x68\x91\xb5\xd7\xb6\x39\xdf\x41\x40\x92\xba\xe1\x50";

/// A file in memory.
struct Bytes(Vec<u8>);

impl Parts for Bytes {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn part(&self, Region { offset, length }: Region) -> io::Result<Vec<u8>> {
        let (from, length) = (usize::try_from(offset).unwrap(), usize::try_from(length).unwrap());
        Ok(self.0[from..][..length].to_vec())
    }
}

/// A number in the fewest bytes (`Utils.writeVLong`).
fn number(value: i64) -> Vec<u8> {
    let all = value.to_be_bytes();
    let short = |high: i64, more: usize| [&[high as u8], &all[8 - more..]].concat();
    match value {
        -32..=127 => vec![value as u8],
        -5120..=5119 => short((value >> 8) - 52, 1),
        -1_048_576..=1_048_575 => short((value >> 16) - 88, 2),
        -134_217_728..=134_217_727 => short((value >> 24) - 112, 3),
        _ => {
            let bytes = (4..8).find(|n| (value << (64 - 8 * n)) >> (64 - 8 * n) == value).unwrap_or(8);
            short(i64::try_from(bytes).unwrap() - 129, bytes)
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    [number(text.len() as i64), text.into()].concat()
}

fn utf(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

/// What is in a container's record: its logs, one after the other.
fn logs(logs: &[(&str, &[u8])]) -> Vec<u8> {
    logs.iter()
        .flat_map(|(name, log)| [utf(name), utf(&log.len().to_string()), log.to_vec()].concat())
        .collect()
}

/// A record, its value in pieces of so many bytes.
fn record(key: &str, value: &[u8], piece: usize) -> Vec<u8> {
    let key = utf(key);
    let mut record = [number(key.len() as i64), key].concat();
    let mut pieces = value.chunks(piece).peekable();
    while let Some(piece) = pieces.next() {
        let length = piece.len() as i64;
        record.extend(number(if pieces.peek().is_some() { -length } else { length }));
        record.extend(piece);
    }
    if value.is_empty() {
        record.extend(number(0));
    }
    record
}

/// A file of these blocks.
fn file(compression: &str, blocks: &[Vec<u8>]) -> Vec<u8> {
    let pack = |part: &[u8]| match compression {
        "gz" => {
            let mut packed = ZlibEncoder::new(Vec::new(), Level::fast());
            packed.write_all(part).unwrap();
            packed.finish().unwrap()
        }
        _ => part.to_vec(),
    };
    let mut file = MARK.to_vec();
    let mut put = |part: &[u8]| {
        let packed = pack(part);
        let region = [file.len(), packed.len(), part.len()].map(|n| number(n as i64)).concat();
        file.extend(packed);
        region
    };
    let regions: Vec<u8> = blocks.iter().flat_map(|block| put(block)).collect();
    let other = [text("data:TFile.meta"), text(compression), put(b"meta")].concat();
    let index = [text(compression), number(blocks.len() as i64), regions].concat();
    let index = [text("data:BCFile.index"), text(compression), put(&index)].concat();
    let at = file.len() as u64;
    [file, number(2), other, index, at.to_be_bytes().to_vec(), vec![0, 1, 0, 0], MARK.to_vec()].concat()
}

fn read_all(file: Vec<u8>) -> Result<Vec<Log>, TFileError> {
    let mut found = Vec::new();
    let wanted = |name: &str| name.ends_with(".log");
    let taken = read(&Bytes(file), wanted, |log| {
        found.push(log);
        Ok(())
    });
    match taken {
        Ok(()) => Ok(found),
        Err(Stopped::File(error)) => Err(error),
        Err(Stopped::Registry(error)) => panic!("{error}"),
    }
}

const FIRST: &str = "container_1700000000000_0007_01_000001";
const SECOND: &str = "container_e12_1700000000000_0007_01_000002";

#[test]
fn logs_come_out_of_their_containers_whatever_the_blocks_and_pieces() {
    let long = "line\n".repeat(1 + TAIL / 5);
    let of_first = logs(&[("jm-0.1.log", b"one\n"), ("prelaunch.out", b"x"), ("agent.log", b"")]);
    let of_second = logs(&[("tm-0.1.log", long.as_bytes()), ("tm-0.1.err.log", b"end")]);
    for (compression, piece) in [("none", 7), ("none", 1 << 20), ("gz", 1 << 20)] {
        let header =
            [record("VERSION", &[0, 0, 0, 1], piece), record("APPLICATION_OWNER", &utf("ann"), piece)];
        let blocks = [
            [&header.concat()[..], &record(FIRST, &of_first, piece)].concat(),
            record(SECOND, &of_second, piece),
        ];
        let found = read_all(file(compression, &blocks)).unwrap();
        let names: Vec<_> = found.iter().map(|log| (log.container.to_string(), log.name.as_str())).collect();
        let [first, second] = [FIRST, SECOND].map(String::from);
        let expected = [
            (&first, "jm-0.1.log"),
            (&first, "agent.log"),
            (&second, "tm-0.1.log"),
            (&second, "tm-0.1.err.log"),
        ];
        assert_eq!(names, expected.map(|(container, name)| (container.clone(), name)));
        assert_eq!((found[0].length, &found[0].tail[..]), (4, &b"one\n"[..]));
        assert_eq!((found[2].length, found[2].tail.len()), (long.len() as u64, TAIL));
        assert!(found[2].tail.ends_with(b"line\n") && found[3].tail == b"end");
    }
}

#[test]
fn what_went_wrong_in_one_record_spoils_no_other() {
    let bad = [logs(&[("a.log", b"whole")]), utf("b.log"), utf("no number"), b"rest".to_vec()].concat();
    let blocks = [[record(FIRST, &bad, 5), record(SECOND, &logs(&[("c.log", b"too")]), 100)].concat()];
    let names: Vec<_> = read_all(file("none", &blocks)).unwrap().into_iter().map(|log| log.name).collect();
    assert_eq!(names, ["a.log", "c.log"]);
}

#[test]
fn what_is_no_such_file_is_refused() {
    let good = file("none", &[record(FIRST, &logs(&[("a.log", b"x")]), 9)]);
    let table = [
        (Vec::new(), "does not end as a TFile"),
        (b"short".to_vec(), "does not end as a TFile"),
        (vec![0; 100], "does not end as a TFile"),
        (good[..good.len() - 1].to_vec(), "does not end as a TFile"),
        (file("lzo", &[]), "compressed with lzo"),
        (
            [&[0; 20][..], &u64::MAX.to_be_bytes(), &[0, 1, 0, 0], MARK].concat(),
            "place of the index cannot be",
        ),
        ([&[0; 20][..], &0u64.to_be_bytes(), &[0, 1, 0, 0], MARK].concat(), "list of indices cannot be"),
    ];
    for (bytes, why) in table {
        let error = read_all(bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

fn report(logs: LogStatus, finished_ms: i64) -> AppReport {
    AppReport {
        id: "application_1700000000000_0007".parse().unwrap(),
        user: String::new(),
        queue: String::new(),
        name: String::new(),
        kind: String::new(),
        tags: Vec::new(),
        state: AppState::Killed,
        final_status: FinalStatus::Killed,
        diagnostics: String::new(),
        tracking_url: String::new(),
        attempt: None,
        master: None,
        progress: None,
        started_ms: 0,
        finished_ms: Some(finished_ms),
        logs,
        master_token: None,
    }
}

#[test]
fn nodes_that_never_end_are_not_waited_for_for_ever() {
    let now = 1_700_000_000_000;
    let told = |logs, ago| progress_of(&report(logs, now - ago), now);
    assert_eq!(told(LogStatus::NotStarted, 1000), Progress::Going);
    assert_eq!(told(LogStatus::Running, 599_000), Progress::Going);
    assert_eq!(told(LogStatus::NotStarted, 601_000), Progress::Over);
    assert_eq!(told(LogStatus::Succeeded, 0), Progress::Over);
    assert_eq!(told(LogStatus::Disabled, 0), Progress::Over);
    assert_eq!(told(LogStatus::Other, 0), Progress::Unknown);
}

#[tokio::test]
async fn another_form_of_files_is_refused_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster { name: "etl".parse().unwrap(), dir: ClusterDir::new(dir.path()) };
    let record = |collection: serde_json::Value| {
        let record = serde_json::json!({
            "id": "application_1700000000000_0007", "user": "ann", "web": [], "staging": "/", "hadoop": {},
            "masterMib": 1024, "secret": "s3cret", "collection": collection,
        });
        serde_json::from_value::<Application>(record).unwrap()
    };
    let collection =
        |format| serde_json::json!({ "root": "/tmp/logs", "suffixes": ["a", "b"], "format": format });
    let refused = collect(&cluster, &record(collection("IndexedFile"))).await.unwrap_err();
    let says = "YARN collects logs as IndexedFile (yarn.log-aggregation.file-formats), and kobel reads TFile";
    assert_eq!(refused.to_string(), says);
    assert_eq!(refused.hint().unwrap(), "yarn logs -applicationId application_1700000000000_0007");
    // Where none are collected, and where all are here, there is nothing to do.
    collect(&cluster, &record(serde_json::Value::Null)).await.unwrap();
    std::fs::write(collected(&cluster.dir), "").unwrap();
    collect(&cluster, &record(collection("TFile"))).await.unwrap();
}

proptest! {
    #[test]
    fn numbers_come_back(value: i64, shift in 0u32..64) {
        let value = value >> shift;
        prop_assert_eq!(number_or_end(&mut &number(value)[..]).unwrap(), Some(value));
    }

    #[test]
    fn a_file_comes_back(texts in prop::collection::vec("[a-z\n]{0,200}", 0..8), piece in 1usize..300, gz: bool) {
        let named: Vec<_> = texts.iter().enumerate().map(|(n, text)| (format!("{n}.log"), text)).collect();
        let given: Vec<_> = named.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
        let block = record(FIRST, &logs(&given), piece);
        let found = read_all(file(if gz { "gz" } else { "none" }, &[block])).unwrap();
        let found: Vec<_> = found.iter().map(|log| (log.name.as_str(), &log.tail[..])).collect();
        prop_assert_eq!(found, given);
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), at: u64) {
        let end = [&at.to_be_bytes()[..], &[0, 1, 0, 0], MARK].concat();
        drop(read_all([bytes.clone(), end].concat()));
        let inside = [&(at % 300).to_be_bytes()[..], &[0, 1, 0, 0], MARK].concat();
        drop(read_all([bytes.clone(), inside].concat()));
        drop(read_all(file("none", std::slice::from_ref(&bytes))));
        drop(read_all(bytes));
    }

    #[test]
    fn nothing_panics_when_a_byte_is_another(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut changed = file("none", &[record(FIRST, &logs(&[("a.log", b"some text"), ("b.log", b"")]), 5)]);
        let index = at.index(changed.len());
        changed[index] = byte;
        drop(read_all(changed.clone()));
        let tail = changed.split_off(cut.index(changed.len()));
        drop(read_all(tail));
    }
}
