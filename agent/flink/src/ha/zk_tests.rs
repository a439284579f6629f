use std::{
    io::{Read, Write},
    net::TcpListener,
    time::Instant,
};

use kobel_conf::{Category, Explain};

use super::*;

const SESSION: Duration = Duration::from_secs(6);

/// Answers each connection with these bytes and keeps it open or hangs up.
fn server(says: &'static [u8], hangs_up: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(says);
            if !hangs_up {
                open.push(stream);
            }
        }
    });
    address
}

async fn refused(servers: &str) -> (ZkError, Duration) {
    let (quorum, since) = (Quorum::parse(servers).unwrap(), Instant::now());
    let deadline = Duration::from_secs(2);
    let error = HaClient::connect(&quorum, &Access::default(), SESSION, deadline).await.unwrap_err();
    (error, since.elapsed())
}

#[tokio::test]
async fn a_service_that_is_no_zookeeper_is_named_with_what_it_said() {
    let http = server(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", true);
    let (error, after) = refused(&http).await;
    let expected = format!(
        "could not connect to ZooKeeper: {http} is no ZooKeeper, it said \"HTTP/1.1 400 Bad Request\""
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.category(), Category::Environment);
    assert!(error.hint().unwrap().contains("clientPort"), "{error:?}");
    assert!(after < Duration::from_secs(4), "{after:?}");
}

#[tokio::test]
async fn no_answer_costs_the_deadline_and_no_more() {
    let silent = server(b"", false);
    let (error, after) = refused(&silent).await;
    assert!(error.to_string().ends_with("takes connections but does not answer"), "{error}");
    assert!(after < Duration::from_secs(4), "{after:?}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (error, after) = refused(&format!("{nobody},{silent}")).await;
    assert!(
        error.to_string().contains(&format!("{nobody} cannot be reached (Connection refused")),
        "{error}"
    );
    assert!(after < Duration::from_secs(4) && error.is_terminal(), "{after:?}");
}

#[tokio::test]
async fn nonsense_in_zookeepers_own_form_is_no_panic() {
    // Lengths that are negative or huge, and a session of no time at all.
    const NEGATIVE: [&[u8]; 4] = [
        b"\xff\xff\xff\xfe",
        b"\x7f\xff\xff\xff\x00\x00",
        b"\x00\x00\x00\x05\x00\x00\x00\x00\x00",
        b"\x00\x00\x00\x25\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x10xxxxxxxxxxxxxxxx\x00",
    ];
    for says in NEGATIVE {
        let (error, _) = refused(&server(says, true)).await;
        assert!(matches!(error, ZkError::Connect { .. }), "{error:?}");
    }
}

#[test]
fn a_server_tells_what_it_is() {
    let table = [
        ("Zookeeper version: 3.8.4\nMode: standalone\n", Finding::Serving),
        ("Zookeeper version: 3.8.4\nMode: read-only\n", Finding::ReadOnly),
        ("This ZooKeeper instance is not currently serving requests\n", Finding::NoQuorum),
        ("srvr is not executed because it is not in the whitelist.\n", Finding::Serving),
        ("", Finding::Silent),
        ("SSH-2.0-OpenSSH\r\n", Finding::NotZooKeeper("SSH-2.0-OpenSSH".into())),
    ];
    for (said, expected) in table {
        assert_eq!(finding(said), expected, "{said:?}");
    }
    let hint =
        |finding| ZkError::Connect { findings: vec![("a:1".into(), finding)], source: None }.hint().unwrap();
    assert!(hint(Finding::NoQuorum).contains("more than half"));
    assert!(hint(Finding::Unreachable("x".into())).contains("high-availability.zookeeper.quorum"));
}

#[test]
fn secrets_are_not_shown() {
    let access = Access::default().with("digest", "flink:hunter2");
    assert_eq!(format!("{access:?}"), "[\"digest\"]");
}

#[test]
fn a_leader_that_cannot_be_read_is_unknown() {
    let stat = |owner| Stat {
        czxid: 1,
        mzxid: 1,
        pzxid: 1,
        ctime: 0,
        mtime: 0,
        version: 0,
        cversion: 0,
        aversion: 0,
        ephemeral_owner: owner,
        data_length: 0,
        num_children: 0,
    };
    let node = |data: Vec<u8>| leader_node("/x".into(), Some((data, stat(5))));
    let encoded = |address: &str| ConnectionInfo { address: address.into(), leadership: 1 }.encode().unwrap();
    assert_eq!(leader_node("/x".into(), None), LeaderNode::Absent);
    assert_eq!(node(Vec::new()), LeaderNode::Absent);
    for absurd in
        [vec![1, 2, 3], vec![0; 1 << 20], encoded("http://user:x@h:1"), encoded("pekko.tcp://flink@h:1/x")]
    {
        assert!(matches!(node(absurd), LeaderNode::Unknown(znode) if znode.owner == SessionId::new(5)));
    }
    assert!(matches!(node(encoded("http://h:1")), LeaderNode::Known { .. }));
}
