//! What a ResourceManager can answer to `kobel start --on yarn` before anything is begun. Case numbers are
//! those of reference/reliability.md, section 3.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Kobel, Ran, finish, machine::Machine};

/// A web that gives one answer to whatever it is asked.
pub(super) struct Web {
    pub(super) address: String,
    asked: Arc<AtomicUsize>,
}

impl Web {
    /// Answers with these bytes.
    fn that(answer: &str) -> Self {
        let answer = answer.to_string();
        Self::serving(move |mut peer| drop(peer.write_all(answer.as_bytes())))
    }

    /// Answers with this status line, header and body.
    pub(super) fn says(status: &str, header: &str, body: &str) -> Self {
        let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
        Self::that(&format!(
            "HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Hands each request, once read, to this. Its threads end with the test's process.
    fn serving(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(answer));
        let count = asked.clone();
        thread::spawn(move || {
            for peer in listener.incoming().flatten() {
                let (answer, count) = (answer.clone(), count.clone());
                thread::spawn(move || {
                    read_request(&peer);
                    count.fetch_add(1, Ordering::SeqCst);
                    answer(peer);
                });
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn read_request(peer: &TcpStream) {
    let mut reader = BufReader::new(peer);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    drop(reader.take(length).read_to_end(&mut Vec::new()));
}

/// With a configuration of YARN.
impl Machine {
    fn submits(&self, api: &str, webs: &[&str], args: &[&str]) -> Ran {
        let property = |(name, value): (&str, &str)| {
            format!("<property><name>{name}</name><value>{value}</value></property>")
        };
        let ids: Vec<String> = (1..=webs.len()).map(|n| format!("rm{n}")).collect();
        let mut yarn = vec![property(("yarn.resourcemanager.ha.rm-ids", &ids.join(",")))];
        yarn.push(property(("yarn.resourcemanager.ha.enabled", "true")));
        for (id, web) in ids.iter().zip(webs) {
            yarn.push(property((&format!("yarn.resourcemanager.webapp.address.{id}"), web)));
            for port in ["address", "scheduler.address"] {
                yarn.push(property((&format!("yarn.resourcemanager.{port}.{id}"), "127.0.0.1:1")));
            }
        }
        self.file("hadoop/yarn-site.xml", format!("<configuration>{}</configuration>", yarn.concat()));
        let core = property(("fs.defaultFS", "hdfs://127.0.0.1:1"));
        self.file("hadoop/core-site.xml", format!("<configuration>{core}</configuration>"));
        let mut command = self.kobel.command(["start", "wc", "--on", "yarn"]);
        command.args(args).env("KOBEL_YARN_API", api).env("HADOOP_USER_NAME", "alice");
        finish(command.env("FLINK_HOME", self.path("flink")).env("HADOOP_CONF_DIR", self.path("hadoop")))
    }

    /// Starts with this as the only ResourceManager.
    fn meets(&self, web: &Web) -> Ran {
        self.submits("rest", &[&web.address], &[])
    }

    /// No application was begun.
    fn began_nothing(&self) {
        assert!(!self.path(".local/state/kobel/clusters/wc/yarn.json").exists());
    }
}

#[track_caller]
fn assert_refused(ran: &Ran, code: i32, says: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{ran:?}");
    for text in says {
        assert!(ran.stderr.contains(text), "{text:?} is not in:\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("\tat "), "{}", ran.stderr);
}

/// What asks YARN alone needs no Flink, and has the same errors as a start.
#[test]
fn queues_are_yarns_and_without_yarn_there_are_none() {
    let kobel = Kobel::new();
    let ran = kobel.run(["queue"]);
    assert_refused(
        &ran,
        5,
        &["neither HADOOP_CONF_DIR nor YARN_CONF_DIR is set", "hint: export HADOOP_CONF_DIR"],
    );
    let ran = kobel.run(["queue", "--on", "local"]);
    assert_refused(&ran, 2, &["provider local has no queues", "hint: kobel queue"]);
    let machine = Machine::new();
    machine.submits("rest", &["127.0.0.1:1"], &[]);
    let mut command = machine.kobel.command(["queue"]);
    let ran = finish(
        command
            .env("KOBEL_YARN_API", "rest")
            .env("HADOOP_CONF_DIR", machine.path("hadoop"))
            .env("USER", "alice"),
    );
    assert_refused(&ran, 5, &["the ResourceManager at http://127.0.0.1:1 cannot be reached", "hint: curl"]);
}

/// What only YARN has is in the plan of a cluster on YARN, and refused elsewhere.
#[test]
fn an_applications_name_and_label_are_for_yarn() {
    let machine = Machine::new();
    let flags = ["--name", "nightly etl", "--node-label", "gpu", "--dry-run"];
    for format in ["json", "table"] {
        let ran = machine.submits("rest", &["127.0.0.1:1"], &[&flags[..], &["-o", format]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for text in ["yarn.application.name", "nightly etl", "yarn.application.node-label", "gpu"] {
            assert!(ran.stdout.contains(text), "{text} in: {}", ran.stdout);
        }
    }
    for (flag, says) in [
        ("--name", "--name is an application's of YARN"),
        ("--node-label", "--node-label is for YARN's nodes"),
    ] {
        let ran = machine.kobel.run(["start", flag, "x"]);
        let hint = format!("hint: kobel start --on yarn {flag}");
        assert_refused(&ran, 2, &[says, "provider local has none", &hint]);
    }
    machine.began_nothing();
}

/// Case 51.
#[test]
fn a_resource_manager_that_cannot_be_reached_is_named() {
    let machine = Machine::new();
    for api in ["rest", "auto"] {
        let ran = machine.submits(api, &["127.0.0.1:1"], &[]);
        assert_refused(
            &ran,
            5,
            &["the ResourceManager at http://127.0.0.1:1 cannot be reached", "hint: curl"],
        );
    }
    let ran = machine.submits("rest", &["no-such-host.invalid:8088"], &[]);
    assert_refused(&ran, 5, &["http://no-such-host.invalid:8088 cannot be reached"]);
    let ran = machine.submits("rpc", &["127.0.0.1:1"], &[]);
    assert_refused(&ran, 5, &["over the ResourceManager's RPC port", "cannot connect to 127.0.0.1:1"]);
    machine.began_nothing();
}

/// Case 51: a byte every two seconds is no answer.
#[test]
fn a_resource_manager_that_trickles_is_given_up_in_time() {
    let web = Web::serving(|mut peer| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
        while peer.write_all(head).and_then(|()| peer.flush()).is_ok() {
            thread::sleep(Duration::from_secs(2));
        }
    });
    let (machine, since) = (Machine::new(), Instant::now());
    let ran = machine.meets(&web);
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    assert!(matches!(ran.code, Some(5 | 124)), "{ran:?}");
    machine.began_nothing();
}

/// Case 52.
#[test]
fn what_is_no_resource_manager_is_said_to_be_none() {
    let machine = Machine::new();
    for body in [
        "<html>Welcome to nginx</html>",
        "",
        "{\"application-id\":",
        "{\"application-id\":null,\"maximum-resource-capability\":{\"memory\":1,\"vCores\":1}}",
        "{\"application-id\":7}",
        "[]",
    ] {
        let web = Web::says("200 OK", "Content-Type: application/json", body);
        assert_refused(&machine.meets(&web), 5, &["is not a YARN ResourceManager, it answered 200 OK"]);
        assert_eq!(web.asked(), 1, "{body}");
    }
    assert_refused(&machine.meets(&Web::that("220 smtp ready\r\n")), 5, &["something that is not HTTP"]);
    machine.began_nothing();
}

/// Case 52: 200 MB.
#[test]
fn an_answer_without_an_end_is_cut_off() {
    let web = Web::serving(|mut peer| {
        let mut sent = peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n");
        while sent.is_ok() {
            sent = peer.write_all(&[b' '; 1 << 16]);
        }
    });
    let ran = Machine::new().meets(&web);
    assert_refused(&ran, 5, &["is not a YARN ResourceManager", "more than 64 MiB"]);
}

/// Case 53.
#[test]
fn a_resource_manager_that_wants_kerberos_is_answered_with_kinit() {
    let web = Web::says("401 Unauthorized", "WWW-Authenticate: Negotiate", "");
    let machine = Machine::new();
    assert_refused(&machine.meets(&web), 6, &["wants Kerberos", "hint: kinit"]);
    machine.began_nothing();
}

/// Case 54.
#[test]
fn a_web_that_takes_no_applications_is_told_with_its_key() {
    let web = Web::says("403 Forbidden", "Content-Type: text/plain", "App submission via REST is disabled.");
    let machine = Machine::new();
    let says =
        ["takes no submissions over REST", "yarn.webapp.enable-rest-app-submissions", "yarn.api = \"rpc\""];
    assert_refused(&machine.meets(&web), 5, &says);
    machine.began_nothing();
}

/// Case 55.
#[test]
fn a_web_that_is_not_ready_is_not_asked_again_blindly() {
    let web = Web::says("503 Service Unavailable", "", "");
    let machine = Machine::new();
    assert_refused(&machine.meets(&web), 3, &["the ResourceManager is not ready"]);
    assert_eq!(web.asked(), 1);
    machine.began_nothing();
}

/// Case 59.
#[test]
fn bad_tags_are_a_mistake_of_the_command_line() {
    let (machine, web) = (Machine::new(), Web::says("200 OK", "", ""));
    for tags in ["x".repeat(200), "über".into()] {
        let ran = machine.submits("rest", &[&web.address], &["-D", &format!("yarn.tags={tags}")]);
        assert_refused(&ran, 2, &["yarn.tags (-D): ", "is no tag"]);
    }
    assert_eq!(web.asked(), 0, "nothing is sent");
}

/// Case 60: a redirect says only that another one is active, wherever it leads.
#[test]
fn redirects_lead_nowhere_but_to_the_configured_addresses() {
    let foreign = Web::says("200 OK", "", "");
    let there = |to: &str| Web::says("307 Temporary Redirect", &format!("Location: http://{to}/ws/v1"), "");
    let loops = Web::says("307 Temporary Redirect", "Refresh: 4;url=http://127.0.0.1:1/", "");
    let (standby, machine) = (there(&foreign.address), Machine::new());
    let ran = machine.submits("rest", &[&standby.address, &loops.address], &[]);
    assert_refused(&ran, 5, &["no ResourceManager of", "is active", &standby.address, &loops.address]);
    assert_eq!((standby.asked(), loops.asked(), foreign.asked()), (1, 1, 0));
    let web = Web::says("403 Forbidden", "", "App submission via REST is disabled.");
    let ran = machine.submits("rest", &[&standby.address, &web.address], &[]);
    assert_refused(&ran, 5, &["takes no submissions over REST"]);
    machine.began_nothing();
}

/// What Flink's own client would take and kobel cannot bring about.
#[test]
fn keys_that_cannot_be_honoured_are_refused_by_name() {
    let (machine, web) = (Machine::new(), Web::says("200 OK", "", ""));
    for key in ["yarn.flink-dist-jar", "yarn.provided.usrlib.dir", "flink.yarn.resourcemanager.address"] {
        let ran = machine.submits("rest", &[&web.address], &["-D", &format!("{key}=x")]);
        assert_refused(&ran, 5, &[&format!("{key} (-D) is not for kobel: "), "hint: leave out"]);
    }
    assert_eq!(web.asked(), 0);
    machine.began_nothing();
}
