//! kobel's memory model against Flink's own launch helper, `BashJavaUtils`: the same settings go to
//! both, and what comes back is equal to the byte, or both refuse.

#[path = "memory_parity/settings.rs"]
mod settings;

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use kobel_conf::memory::{self, MemoryError, Model};
use kobel_kit::{Flink, on_each_flink};
use settings::{Role, Setting};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// Starting a JVM and a thousand small computations, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

on_each_flink! {
    fn flinks_own_helper_agrees(flink: Flink) {
        let settings = settings::all();
        let answers = ask_flink(&flink, &settings);
        assert_eq!(answers.len(), settings.len(), "one answer per setting");
        let model = Model::of_major(if flink.is_v2() { 2 } else { 1 });
        let mut errors = 0;
        let mut differences = Vec::new();
        for (setting, theirs) in settings.iter().zip(&answers) {
            let ours = ask_kobel(setting, model);
            errors += usize::from(theirs.is_err());
            if ours.as_ref().ok() != theirs.as_ref().ok() {
                differences.push(format!("{setting:?}\n  Flink: {theirs:?}\n  kobel: {ours:?}"));
            }
        }
        println!("Flink {}: {} settings compared, {errors} of them errors", flink.version, settings.len());
        assert!(settings.len() - errors >= 250 && errors >= 150, "the settings are lopsided");
        let shown = differences.len().min(10);
        assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences[..shown].join("\n"));
    }
}

/// What a process is started with.
#[derive(Debug, PartialEq)]
struct Outcome {
    jvm_args: String,
    dynamic_configs: BTreeMap<String, String>,
}

fn ask_kobel(setting: &Setting, model: Model) -> Result<Outcome, MemoryError> {
    let (jvm_args, dynamic_configs) = match setting.role {
        Role::JobManager => {
            let memory = memory::job_manager(&setting.conf, model)?;
            (memory.jvm_args(), memory.dynamic_configs())
        }
        Role::TaskManager => {
            let memory = memory::task_manager(&setting.conf, model)?;
            (memory.jvm_args(), memory.dynamic_configs())
        }
    };
    Ok(Outcome { jvm_args: jvm_args.join(" "), dynamic_configs: with_names_sorted(dynamic_configs) })
}

#[tokio::main(flavor = "current_thread")]
async fn ask_flink(flink: &Flink, settings: &[Setting]) -> Vec<Result<Outcome, String>> {
    let scratch = tempfile::tempdir().expect("a temp directory");
    let helper = kobel_kit::compile_job(flink, "MemoryModel", scratch.path());
    let utils = flink.home.join("bin/bash-java-utils.jar");
    let dist = flink.home.join(format!("lib/flink-dist-{}.jar", flink.version));
    let class_path = [helper, utils, dist].map(|jar| jar.display().to_string()).join(":");
    let mut java = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-cp", &class_path, "MemoryModel"])
        .env_remove("FLINK_JM_HEAP")
        .env_remove("FLINK_TM_HEAP")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("java starts");
    let questions: String = settings.iter().map(question).collect();
    let mut stdin = java.stdin.take().expect("a piped standard input");
    let talk = async {
        stdin.write_all(questions.as_bytes()).await.expect("java reads its questions");
        drop(stdin);
        java.wait_with_output().await.expect("java's answers")
    };
    let output = timeout(DEADLINE, talk).await.expect("java answers in time");
    let text = String::from_utf8(output.stdout).expect("answers are text");
    text.lines().filter(|line| line.starts_with('@')).map(answer).collect()
}

fn question(setting: &Setting) -> String {
    let role = match setting.role {
        Role::JobManager => "jm",
        Role::TaskManager => "tm",
    };
    let values: String = setting.conf.iter().map(|(key, value)| format!("\t{key}={value}")).collect();
    format!("{role}{values}\n")
}

fn answer(line: &str) -> Result<Outcome, String> {
    let fields: Vec<_> = line.split('\t').collect();
    match fields[..] {
        ["@ok", jvm_args, dynamic] => {
            let pairs: Vec<_> = dynamic.trim_start_matches("-D ").split(" -D ").collect();
            let pair = |pair: &&str| pair.split_once('=').map(|(k, v)| (k.to_string(), v.to_string()));
            let configs: BTreeMap<_, _> = pairs.iter().map(|p| pair(p).expect("key=value")).collect();
            assert_eq!(configs.len(), pairs.len(), "no key twice in {dynamic}");
            Ok(Outcome { jvm_args: jvm_args.into(), dynamic_configs: with_names_sorted(configs) })
        }
        ["@error", what] => Err(what.into()),
        _ => panic!("not an answer: {line}"),
    }
}

/// Flink lists external resources, as it does the options themselves, in the order of a `HashMap`,
/// which means nothing.
fn with_names_sorted(mut configs: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if let Some(list) = configs.get_mut("external-resources") {
        let mut names: Vec<_> = list.trim_matches('"').split(';').collect();
        names.sort_unstable();
        let quote = if list.starts_with('"') { "\"" } else { "" };
        *list = format!("{quote}{}{quote}", names.join(";"));
    }
    configs
}
