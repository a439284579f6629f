//! Verbs on clusters where there is none.

use super::{Kobel, finish};

/// Case 12 of reference/reliability.md, section 3.
#[test]
fn an_unknown_cluster_is_answered_with_4_and_a_command_that_helps() {
    let kobel = Kobel::new();
    for verb in ["status", "stop", "kill", "rm", "logs", "wait", "events", "attach", "restart", "describe"] {
        let ran = kobel.run([verb, "nope"]);
        assert_eq!(ran.code, Some(4), "{ran:?}");
        assert_eq!(ran.stderr, "error: there is no cluster nope\n  hint: kobel start nope\n", "{verb}");
    }
}

#[test]
fn jobs_need_a_cluster() {
    let kobel = Kobel::new();
    for args in [&["run", "x.jar"][..], &["job", "list"]] {
        let ran = kobel.run(args);
        assert_eq!(ran.code, Some(4), "{ran:?}");
        assert!(ran.stderr.contains("hint: kobel start"), "{ran:?}");
    }
}

#[test]
fn a_fresh_home_has_no_clusters() {
    let kobel = Kobel::new();
    let ran = kobel.run(["ps", "-o", "json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "[]\n"), "{ran:?}");
    let ran = kobel.run(["ps", "--quiet"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(std::fs::read_dir(kobel.home()).unwrap().count(), 0, "reading leaves nothing behind");
}

/// Case 13.
#[test]
fn without_a_home_the_environment_is_to_blame() {
    let kobel = Kobel::new();
    for verb in ["ps", "start", "status", "doctor"] {
        let ran = finish(kobel.command([verb]).env_remove("HOME"));
        assert_eq!(ran.code, Some(5), "{ran:?}");
        assert!(ran.stderr.contains("HOME"), "{ran:?}");
    }
    assert_eq!(finish(kobel.command(["version"]).env_remove("HOME")).code, Some(0));
}

#[test]
fn a_flink_that_is_not_there_is_answered_with_how_to_get_it() {
    let kobel = Kobel::new();
    let ran = kobel.run(["start", "--flink", "1.20.5"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.stderr.contains("hint: kobel flink install 1.20.5"), "{ran:?}");
    assert_eq!(kobel.run(["ps", "-o", "name"]).stdout, "", "a start that was refused leaves no cluster");
}

#[test]
fn distributions_are_none_at_first() {
    let kobel = Kobel::new();
    assert_eq!(kobel.run(["flink", "list", "-o", "json"]).stdout, "[]\n");
    let ran = kobel.run(["flink", "remove", "1.20.5"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
}
