//! Contracts about what surrounds a worker: directories, files, environment, output.

use kobel_plan::{Exit, Launch, WorkerFile};

use super::{Bench, Fixture, Output};
use crate::Outcome;

/// Placeholders in arguments, environment and files become the directories that the worker sees; it
/// runs in its own one, which has a `tmp`.
pub async fn placeholders_are_expanded(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let (worker, log) = (Launch::WORKER_DIR, Launch::LOG_DIR);
    let script = format!(
        "pwd; echo {worker}; echo $HERE; cat conf/here; test -d {worker}/tmp && test -d {log} && echo both"
    );
    let mut spec = bench.shell(&script);
    spec.launch.env.insert("HERE".into(), worker.into());
    spec.files.push(WorkerFile { path: "conf/here".into(), contents: format!("{worker}\n") });
    bench.ensure(&spec).await;
    assert_eq!(bench.exit(&spec).await, Exit::Code(0));
    let out = bench.out(&spec).await;
    let lines = out.lines().collect::<Vec<_>>();
    assert_eq!(lines.len(), 5, "{out}");
    assert!(lines[0].starts_with('/') && lines[..4].iter().all(|line| *line == lines[0]), "{out}");
    bench.assert_nothing_left().await;
}

/// Both streams are kept, apart, after the worker is gone; there is nothing to read.
pub async fn output_goes_to_log_files(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("echo to out; echo to err >&2; cat").await;
    assert_eq!(bench.exit(&spec).await, Exit::Code(0));
    assert_eq!(bench.out(&spec).await, "to out\n");
    assert_eq!(fixture.output(spec.id, spec.attempt, Output::Err).await, "to err\n");
    bench.assert_nothing_left().await;
}

/// A worker that prints while no agent is there neither dies of it nor loses a line.
pub async fn output_goes_on_without_an_agent(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done").await;
    bench.running(&spec).await;
    bench.printed(&spec, "1").await;
    let bench = bench.reopen().await;
    let so_far = bench.out(&spec).await.lines().count();
    let text = bench.printed(&spec, &(so_far + 3).to_string()).await;
    let expected = (1..=text.lines().count()).map(|i| format!("{i}\n")).collect::<String>();
    assert_eq!(text, expected);
    bench.close(&spec).await;
}

/// Nobody else may enter the directory or read a file, whatever the umask of who asked.
pub async fn files_are_private(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let mut spec =
        bench.shell("stat -c '%a %n' . tmp conf conf/deep conf/deep/secret; stat -Lc %a /proc/self/fd/1");
    spec.files.push(WorkerFile { path: "conf/deep/secret".into(), contents: "password".into() });
    bench.ensure(&spec).await;
    assert_eq!(bench.exit(&spec).await, Exit::Code(0));
    let expected = "700 .\n700 tmp\n700 conf\n700 conf/deep\n600 conf/deep/secret\n600\n";
    assert_eq!(bench.out(&spec).await, expected);
    bench.assert_nothing_left().await;
}

/// The environment is the specification's and the marker, nothing of the agent's.
pub async fn environment_is_not_inherited(fixture: &dyn Fixture) {
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "there is something to inherit");
    let mut bench = Bench::open(fixture).await;
    let mut spec = bench.shell("exec env");
    spec.launch.env.insert("MINE".into(), "1".into());
    bench.ensure(&spec).await;
    assert_eq!(bench.exit(&spec).await, Exit::Code(0));
    let out = bench.out(&spec).await;
    // The shell itself sets PWD, and some shells OLDPWD, SHLVL and _.
    let of_the_shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    let names = out.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
    let unexpected = names
        .filter(|name| *name != Launch::MARKER && !spec.launch.env.contains_key(*name))
        .filter(|name| !of_the_shell.contains(name))
        .collect::<Vec<_>>();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    let marker = out.lines().find_map(|line| line.strip_prefix("KOBEL_ID=")).expect("a marker");
    assert!(marker.ends_with(&format!("/{}", spec.name())), "{marker}");
    bench.assert_nothing_left().await;
}

/// After the last worker, `finish` may be said more than once.
pub async fn finish_is_the_end(fixture: &dyn Fixture) {
    let mut bench = Bench::open(fixture).await;
    let spec = bench.start("exit 0").await;
    bench.exit(&spec).await;
    bench.provider.finish(Outcome::Succeeded, "the test ends").await.expect("finish");
    bench.provider.finish(Outcome::Succeeded, "the test ends").await.expect("finish again");
    bench.assert_nothing_left().await;
}
