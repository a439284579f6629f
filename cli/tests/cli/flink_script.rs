//! `scripts/flink` without a Flink that runs: what it refuses, and what it hands over. Case numbers are those of
//! reference/reliability.md, section 3.

use std::{fs::File, io::Write};

use super::{Ran, finish, machine::Machine, yarn::Web};

/// With a client of Flink's that tells what it is asked.
impl Machine {
    fn with_client() -> Self {
        let machine = Self::new();
        machine.program("flink/bin/flink", "#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 3\n");
        machine
    }

    /// A jar with one class and this manifest.
    fn jar(&self, name: &str, manifest: &str) -> String {
        let path = self.path(name);
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        for (entry, content) in [("META-INF/MANIFEST.MF", manifest), ("org/x/Job.class", "")] {
            zip.start_file(entry, options).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        path.to_str().unwrap().into()
    }

    fn good_jar(&self) -> String {
        self.jar("job.jar", "Main-Class: org.x.Job\n")
    }

    fn flink(&self, args: &[&str]) -> Ran {
        let mut command = self.kobel.command([&["compat", "flink"], args].concat());
        command.env("FLINK_HOME", self.path("flink")).env("JAVA_HOME", self.path("java"));
        finish(command.env("USER", "alice"))
    }

    /// What it says to this, without the directory of this machine.
    fn refused(&self, line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().collect();
        let ran = self.flink(&words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{line}: {ran:?}");
        assert!(!ran.stderr.contains("\tat "), "{}", ran.stderr);
        ran.stderr.replace(self.kobel.home().to_str().unwrap(), "~")
    }
}

#[test]
fn what_cannot_be_read_or_honoured_is_refused_by_name() {
    let machine = Machine::new();
    let jar = machine.good_jar();
    let lines = [
        "foo".into(),
        "run".into(),
        "run --nosuch x.jar".into(),
        format!("run -m localhost {jar}"),
        format!("run -t kubernetes-session {jar}"),
        format!("run -t moon {jar}"),
        format!("run-application {jar}"),
        format!("run -p 0 {jar}"),
        format!("run -cm mine {jar}"),
        format!("run -D novalue {jar}"),
        format!("run -yid 12 {jar}"),
        format!("run -m yarn-cluster -yn two {jar}"),
        format!("run -m yarn-cluster -ytm 1.5g {jar}"),
        format!("run -m yarn-cluster -ys 0 {jar}"),
        "run -m yarn-cluster -py job.py".into(),
        format!("run -t yarn-session {jar}"),
        format!("run {jar}"),
        format!("run -m localhost:1 {jar}"),
        "list -a -x".into(),
        "cancel".into(),
        "cancel abc".into(),
        "stop".into(),
        "stop -type odd 00112233445566778899aabbccddeeff".into(),
        "savepoint".into(),
        "checkpoint".into(),
    ];
    let said = lines.iter().map(|line| {
        let shown = line.replace(machine.kobel.home().to_str().unwrap(), "~");
        format!("$ flink {shown}\n{}", machine.refused(line))
    });
    insta::assert_snapshot!(said.collect::<String>());
}

#[test]
fn flinks_command_has_a_help_for_every_action() {
    let machine = Machine::new();
    let mut all = machine.flink(&["--help"]).stdout;
    for action in ["run", "info", "list", "stop", "cancel", "savepoint", "checkpoint"] {
        let ran = machine.flink(&[action, "-h"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        all.push_str(&format!("\n$ flink {action} -h\n{}", ran.stdout));
    }
    insta::assert_snapshot!(all);
}

/// Cases 41 to 44.
#[test]
fn jars_that_cannot_be_run_are_refused_by_flinks_command_before_anybody_is_asked() {
    let machine = Machine::with_client();
    machine.file("empty.jar", "");
    machine.file("text.jar", "hello");
    machine.file("job.zip", "PK");
    machine.good_jar();
    machine.jar("bare.jar", "Manifest-Version: 1.0\n");
    for (jar, says) in [
        ("nosuch.jar", "cannot read ~/nosuch.jar"),
        ("empty.jar", "~/empty.jar is not a jar"),
        ("text.jar", "~/text.jar is not a jar"),
        ("job.zip", "~/job.zip is not named *.jar"),
        ("bare.jar", "~/bare.jar names no class to start"),
        ("-c org.y.Job job.jar", "~/job.jar has no class org.y.Job"),
    ] {
        let (options, jar) = jar.rsplit_once(' ').unwrap_or(("", jar));
        let jar = machine.path(jar);
        for place in ["", "-m localhost:1", "-m yarn-cluster"] {
            let said = machine.refused(&format!("run {place} {options} {}", jar.display()));
            assert!(said.contains(says), "{place} {said}");
        }
    }
}

/// Cases 65 and 67: one line, at an address that is no kobel's too.
#[test]
fn another_service_and_an_unknown_job_are_told_by_flinks_command() {
    let machine = Machine::new();
    let html = Web::says("200 OK", "Content-Type: text/html", "<html>Welcome to nginx</html>");
    let ran = machine.flink(&["list", "-m", &html.address]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "Waiting for response...\n"), "{ran:?}");
    assert!(ran.stderr.contains("is not Flink's REST API"), "{}", ran.stderr);
    let trace =
        r#"{"errors":["org.apache.flink.runtime.rest.NotFoundException: Job 00 not found\n\tat x.Y.z\n"]}"#;
    let unknown = Web::says("404 Not Found", "Content-Type: application/json", trace);
    let id = "00112233445566778899aabbccddeeff";
    for action in ["cancel", "stop", "savepoint", "checkpoint"] {
        let ran = machine.flink(&[action, id, "-m", &unknown.address]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(&format!("the cluster does not know job {id}")), "{}", ran.stderr);
        assert!(!ran.stderr.contains("x.Y.z"), "{}", ran.stderr);
    }
}

/// A session that kobel did not start.
fn foreign_session() -> Web {
    let overview = r#"{"taskmanagers":1,"slots-total":1,"slots-available":1,"jobs-running":0,"jobs-finished":0,
        "jobs-cancelled":0,"jobs-failed":0,"flink-version":"2.3.0","flink-commit":"0"}"#;
    Web::says("200 OK", "Content-Type: application/json", overview)
}

/// What needs `main` on this machine, word for word as it was typed; case 50: no shell on the way.
#[test]
fn flinks_own_client_gets_what_only_it_can_do() {
    let machine = Machine::with_client();
    let (jar, session) = (machine.good_jar(), foreign_session());
    let (host, port) = session.address.split_once(':').unwrap();
    let odd = "a b;c \"d\" %e #f $(touch g)";
    let at = session.address.as_str();
    let ran = machine.flink(&["run", "-m", at, "-c", "org.x.Job", "-Da=b", "-d", &jar, odd, "-m"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("is not one of kobel's: handing over"), "{}", ran.stderr);
    assert!(ran.stderr.contains("runs Flink 2.3.0, and the client is of 1.20.5"), "{}", ran.stderr);
    let words: Vec<_> = ran.stdout.lines().collect();
    let (address, port) = (format!("-Drest.address={host}"), format!("-Drest.port={port}"));
    let place = ["run", "-t", "remote", &address, &port, "-Dhigh-availability.type=NONE"];
    assert_eq!(words[..6], place);
    assert_eq!(words[6..], ["-Da=b", "-c", "org.x.Job", "-d", &jar, odd, "-m"]);

    let ran = machine.flink(&["info", "-p", "2", "-m", "h:1", &jar, "--input", "x"]);
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), ["info", "-p", "2", &jar, "--input", "x"]);
    let ran = machine.flink(&["run", "-m", at, "-py", "job.py", "--input", "x"]);
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>()[6..], ["-py", "job.py", "--", "--input", "x"]);
    let nobody = machine.flink(&["run", "-m", "localhost:1", &jar]);
    assert_eq!((nobody.code, nobody.stdout.as_str()), (Some(1), ""), "no JVM is started for it: {nobody:?}");
    assert!(nobody.stderr.contains("localhost:1 cannot be reached"), "{}", nobody.stderr);
}

/// A `flink` that is kobel's own does not run itself for ever.
#[test]
fn a_client_that_leads_back_is_seen() {
    let machine = Machine::new();
    let line = format!("#!/bin/sh\nexec {} compat flink \"$@\"\n", env!("CARGO_BIN_EXE_kobel"));
    machine.program("flink/bin/flink", &line);
    let ran = machine.flink(&["run", "-m", &foreign_session().address, &machine.good_jar()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("leads back to kobel"), "{}", ran.stderr);
}
