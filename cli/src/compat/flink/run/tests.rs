use kobel_conf::units::MemorySize;

use super::*;
use crate::args::Provider;

fn parsed(line: &str) -> Parsed {
    let words: Vec<_> = line.split_whitespace().map(String::from).collect();
    Action::Run.read(&words).unwrap()
}

fn asked(line: &str) -> Result<RunArgs, Failure> {
    let parsed = parsed(line);
    in_own_cluster(&parsed, ProviderKind::Yarn, run_args(&parsed)?)
}

fn own(line: &str) -> RunArgs {
    asked(line).unwrap()
}

fn refused(line: &str) -> String {
    let failure = asked(line).unwrap_err();
    anstream::adapter::strip_str(&failure.render(false)).to_string()
}

fn pairs(args: &RunArgs) -> Vec<(&str, &str)> {
    args.own.properties.iter().map(|o| (o.key.as_str(), o.value.as_str())).collect()
}

#[test]
fn the_line_that_everyone_types_is_a_job_with_a_cluster_of_its_own() {
    let args = own("-m yarn-cluster -yn 2 WordCount.jar --input in --output out");
    assert!(args.per_job && !args.detach && !args.no_output);
    assert_eq!((args.own.provider, args.own.tm), (Provider::Yarn, Some(2)));
    assert_eq!(args.program, ["WordCount.jar", "--input", "in", "--output", "out"]);
    assert_eq!((args.own.slots, args.own.tm_mem, args.own.jm_mem), (None, None, None));
    assert!(args.cluster.is_none() && args.own.properties.is_empty());
    assert_eq!(own("-m yarn-cluster x.jar").own.tm, None, "as many as the job needs");
}

#[test]
fn every_option_with_a_y_says_what_that_cluster_is_like() {
    let line = "-m yarn-cluster -yn 2 -ys 3 -ytm 800 -yjm 1g -ynm etl -yqu fast -ynl gpu -yat Flink -yz ns \
                -yt a.jar -yt lib -yDa=1 -Db=2 -yd -c X -p 4 -s /sp -n -rm claim -sae x.jar y";
    let args = own(line);
    let cluster = &args.own;
    assert_eq!((cluster.tm, cluster.slots), (Some(2), Some(3)));
    let mib = |n| Some(MemorySize::from_mib(n));
    assert_eq!((cluster.tm_mem, cluster.jm_mem), (mib(800), mib(1024)));
    let texts = [&cluster.application_name, &cluster.queue, &cluster.node_label, &cluster.namespace];
    assert_eq!(texts.map(Option::as_deref), [Some("etl"), Some("fast"), Some("gpu"), Some("ns")]);
    assert_eq!(
        pairs(&args),
        [("yarn.application.type", "Flink"), ("yarn.ship-files", "a.jar;lib"), ("a", "1"), ("b", "2")]
    );
    assert!(args.detach && args.cancel_on_interrupt && args.allow_non_restored_state);
    assert_eq!((args.class.as_deref(), args.parallelism), (Some("X"), Some(4)));
    assert_eq!((args.from_savepoint.as_deref(), args.claim_mode), (Some("/sp"), Some(ClaimMode::Claim)));
    assert_eq!(args.program, ["x.jar", "y"]);
}

#[test]
fn long_names_and_those_of_flink_1_20_say_the_same() {
    let long =
        "--yarncontainer 2 --yarnslots=3 -yarntaskManagerMemory 800m --yarnqueue fast --yarndetached x.jar";
    let short = "-yn 2 -ys 3 -ytm 800 -yqu fast -d x.jar";
    let cluster = |line: &str| (format!("{:?}", own(line).own), own(line).detach);
    assert_eq!(cluster(long), cluster(short));
    let args =
        own("-t yarn-application -Dyarn.application.name=n -Dexecution.target=x -Drest.port=1 -z ns x.jar");
    assert_eq!(pairs(&args), [("yarn.application.name", "n")], "what says where to goes no further");
    assert_eq!(args.own.namespace.as_deref(), Some("ns"));
}

#[test]
fn what_makes_no_cluster_is_named() {
    for (line, words) in [
        ("-yn -1 x.jar", "-yn -1: expected a number from 0"),
        ("-yn two x.jar", "-yn two"),
        ("-ys 0 x.jar", "-ys 0"),
        ("-ytm 1.5g x.jar", "-ytm 1.5g"),
        ("-yjm 0 x.jar", "-yjm 0"),
        ("-yj no/such.jar x.jar", "-yj no/such.jar"),
        ("-yDa x.jar", "has no '='"),
        ("-Da x.jar", "has no '='"),
        ("-p 0 x.jar", "The parallelism must be a positive number: 0"),
        ("-cm mine x.jar", "-cm mine"),
        ("-m yarn-cluster", "should be specified a JAR file"),
    ] {
        assert!(refused(line).contains(words), "{line}: {}", refused(line));
    }
}

#[test]
fn a_program_is_a_jar_or_one_of_pythons() {
    assert_eq!(program(&parsed("-j x.jar --input y")).unwrap(), ["x.jar", "--input", "y"]);
    assert_eq!(program(&parsed("file:///x/y.jar z")).unwrap(), ["/x/y.jar", "z"]);
    assert_eq!(program(&parsed("x.jar -a b")).unwrap(), ["x.jar", "-a", "b"]);
    assert_eq!(program(&parsed("-a b x.jar")).unwrap(), ["x.jar", "b"]);
    assert_eq!(program(&parsed("-py j.py --input y")).unwrap(), ["--input", "y"]);
    assert!(program(&parsed("-d")).is_err());
}

#[test]
fn classes_at_urls_are_an_option_of_the_job() {
    let args = run_args(&parsed("-C file:/a.jar -C http://h/b.jar -Dk=v x.jar")).unwrap();
    assert_eq!(pairs(&args), [("pipeline.classpaths", "file:/a.jar;http://h/b.jar"), ("k", "v")]);
}

#[test]
fn options_without_effect_are_noted() {
    let noted = |line: &str, goal| notes(&parsed(line), &goal).join("; ");
    assert!(noted("-yn 2 -ytm 800 x.jar", Goal::Any).starts_with("-yn and -ytm: "));
    assert_eq!(noted("-yn 2 x.jar", Goal::Own(ProviderKind::Yarn)), "");
    assert!(noted("-yst -q x.jar", Goal::Any).contains("-yst"));
    assert_eq!(noted("-yid application_1_1 x.jar", Goal::Any), "");
}
