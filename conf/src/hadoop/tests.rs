use std::{fs, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::Explain;

/// A directory with these files.
fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn sites(files: &[(&str, &str)]) -> Result<Vec<SiteFile>, HadoopConfError> {
    read_sites(&[dir(files).path().into()])
}

/// The message for these files, from the name of the file on.
fn refusal(files: &[(&str, &str)]) -> String {
    let text = sites(files).unwrap_err().to_string();
    assert!(!text.contains('\n'), "one line: {text}");
    text.rsplit_once('/').map_or(text.clone(), |(_, tail)| tail.to_string())
}

fn document(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<configuration xmlns:xi=\"http://www.w3.org/2001/XInclude\">\n{body}\n</configuration>"
    )
}

fn property(name: &str, value: &str) -> String {
    format!("<property><name>{name}</name><value>{value}</value></property>")
}

fn variables() -> Variables {
    Variables::of_env([("USER", "ada"), ("HOME", "/home/ada"), ("HOST", "nn1"), ("EMPTY", "")])
}

/// The configuration with this body of core-site.xml.
fn conf(body: &str) -> HadoopConf {
    HadoopConf::new(&sites(&[("core-site.xml", &document(body))]).unwrap(), variables())
}

/// The value of `x`, which is written like this.
fn value(text: &str) -> HadoopConf {
    conf(&property("x", text))
}

#[test]
fn later_files_win_over_earlier_ones_but_not_over_what_is_final() {
    let core = "<property><name>a</name><value>1</value><final>true</final></property>\n\
                <property name=\"b\" value=\"1\"/>\n<property><name>  c\n</name><value> 1 </value></property>";
    let hdfs = [property("a", "2"), property("b", "2")].concat();
    let files = [("core-site.xml", document(core)), ("hdfs-site.xml", document(&hdfs))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let read = sites(&files).unwrap();
    let conf = HadoopConf::new(&read, Variables::default());
    let text = |name: &str| conf.text(name).unwrap().unwrap();
    assert_eq!((text("a").as_str(), text("b").as_str(), text("c").as_str()), ("1", "2", "1"));
    let origin = conf.raw("a").unwrap().origin.to_string();
    assert!(origin.ends_with("/core-site.xml:3"), "{origin}");
    assert_eq!(conf.raw("c").unwrap().value, " 1 ", "trimmed only when it is asked for");
}

#[test]
fn of_two_directories_the_first_that_has_a_file_counts() {
    let first = dir(&[("core-site.xml", &document(&property("x", "1")))]);
    let second = dir(&[
        ("core-site.xml", &document(&property("x", "2"))),
        ("yarn-site.xml", &document(&property("y", "2"))),
    ]);
    let read = read_sites(&[first.path().into(), second.path().into()]).unwrap();
    let names: Vec<_> = read.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(names, ["core-site.xml", "yarn-site.xml"]);
    let conf = HadoopConf::new(&read, Variables::default());
    assert_eq!((conf.text("x").unwrap(), conf.text("y").unwrap()), (Some("1".into()), Some("2".into())));
    let missing = read_sites(&["/nowhere/conf".into()]).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/conf") && missing.hint().is_some());
    assert!(sites(&[]).unwrap().is_empty());
}

#[test]
fn properties_without_a_name_or_a_value_and_other_elements_are_nothing() {
    let conf = conf(
        "<property><name>a</name></property><property><value>1</value></property><other/>\
         <property><name>b</name><value/><description>a &lt; b</description></property>\
         <configuration><property><name>c</name><value>a<!-- x -->b<![CDATA[<]]></value></property></configuration>",
    );
    assert!(conf.raw("a").is_none());
    assert!(conf.raw("b").is_none(), "an empty value is none");
    assert_eq!(conf.text("c").unwrap().unwrap(), "ab<");
}

#[test]
fn names_of_older_days_mean_the_new_ones() {
    let conf = conf(&property("fs.default.name", "hdfs://nn:8020"));
    assert_eq!(conf.text("fs.defaultFS").unwrap().unwrap(), "hdfs://nn:8020");
    assert_eq!(conf.text("fs.default.name").unwrap().unwrap(), "hdfs://nn:8020");
}

#[test]
fn variables_are_replaced_as_hadoop_replaces_them() {
    let table = [
        ("${user.name}@${env.HOST}", "ada@nn1"),
        ("${hadoop.tmp.dir}/x", "/tmp/hadoop-ada/x"),
        ("${env.NONE:-a}${env.EMPTY:-b}${env.EMPTY-c}${env.NONE2-d}", "abd"),
        ("a${none}b${user.name}", "a${none}b${user.name}"),
        ("${user.name}${none}", "ada${none}"),
        ("${x}", "${x}"),
        ("$ {a} ${} ${a b} $${user.name}", "$ {a} ${} ${a b} $ada"),
        ("${user.${part}}", "ada"),
        ("${part}/${part}", "name/name"),
    ];
    for (text, expected) in table {
        let conf = conf(&[property("x", text), property("part", "name")].concat());
        assert_eq!(conf.text("x").unwrap().unwrap(), expected, "{text}");
    }
}

#[test]
fn a_chain_of_variables_has_an_end() {
    let link = |n: usize| property(&format!("v{n}"), &format!("${{v{}}}", n + 1));
    let chain = |n: usize| (0..n).map(link).collect::<String>() + &property(&format!("v{n}"), "end");
    assert_eq!(conf(&chain(19)).text("v0").unwrap().unwrap(), "end");
    let error = conf(&chain(30)).text("v0").unwrap_err().to_string();
    assert!(error.contains("v0 (") && error.contains("core-site.xml:3"), "{error}");
    let circle = conf(&[property("a", "${b}"), property("b", "${a}")].concat());
    assert!(matches!(circle.text("a"), Err(HadoopConfError::Endless { .. })));
    let doubling: String =
        (0..19).map(|n| property(&format!("d{n}"), &format!("${{d{0}}} ${{d{0}}}", n + 1))).collect();
    let _ = conf(&(doubling + &property("d19", "x"))).text("d0");
}

#[test]
fn a_snapshot_is_read_as_the_original_with_the_environment_filled_in() {
    let body = "<property><name>a&amp;b</name><value>&lt;1&gt; &#13; ]]&gt; ${env.HOST}/${user.name} ${env.NONE} ${env.</value>\
                <final>true</final></property>";
    let read = sites(&[("core-site.xml", &document(body))]).unwrap().remove(0).with_environment(&variables());
    assert_eq!(read.properties[0].value, "<1> \r ]]> nn1/${user.name} ${env.NONE} ${env.");
    let again = sites(&[("core-site.xml", &render(&read))]).unwrap().remove(0);
    let facts = |p: &Property| (p.name.clone(), p.value.clone(), p.is_final);
    assert_eq!(facts(&again.properties[0]), facts(&read.properties[0]));
}

#[test]
fn includes_stand_in_their_place_and_fall_back() {
    let more = document(&property("x", "included"));
    let core = document(
        "<property><name>x</name><value>before</value></property>\n<xi:include href=\"more.xml\"/>\n\
         <xi:include href=\"none.xml\"><xi:fallback><property><name>y</name><value>fallback</value></property></xi:fallback></xi:include>",
    );
    let read = sites(&[("core-site.xml", &core), ("more.xml", &more)]).unwrap();
    let conf = HadoopConf::new(&read, Variables::default());
    assert_eq!(conf.text("x").unwrap().unwrap(), "included");
    assert_eq!(conf.text("y").unwrap().unwrap(), "fallback");
    assert!(conf.raw("x").unwrap().origin.to_string().ends_with("/more.xml:3"));
}

#[test]
fn includes_that_lead_nowhere_or_back_are_refused() {
    let include = |href: &str| document(&format!("<xi:include href=\"{href}\"/>"));
    let missing = refusal(&[("core-site.xml", &include("none.xml"))]);
    assert_eq!(missing, "core-site.xml:3: cannot include none.xml");
    let remote = sites(&[("core-site.xml", &include("http://192.0.2.1/x.xml"))]).unwrap_err();
    assert!(matches!(remote, HadoopConfError::Include { .. }), "never fetched: {remote}");
    assert!(sites(&[("core-site.xml", &include("/dev/zero"))]).is_err());
    let itself = refusal(&[("core-site.xml", &include("core-site.xml"))]);
    assert_eq!(itself, "core-site.xml:3: the file includes itself");
    let around = refusal(&[("core-site.xml", &include("a.xml")), ("a.xml", &include("./core-site.xml"))]);
    assert!(around.contains("includes itself") || around.contains("deep"), "{around}");
    let many = document(&"<xi:include href=\"a.xml\"/>".repeat(200));
    assert!(refusal(&[("core-site.xml", &many), ("a.xml", &document(""))]).contains("more than 100 files"));
    let deep: Vec<_> = (0..30).map(|n| (format!("{n}.xml"), include(&format!("{}.xml", n + 1)))).collect();
    let mut files: Vec<_> = deep.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let first = include("0.xml");
    files.push(("core-site.xml", &first));
    assert!(refusal(&files).contains("more than 10 deep"));
}

#[test]
fn hostile_or_broken_xml_is_refused_with_its_line() {
    let bomb = "<!DOCTYPE c [<!ENTITY a \"xxxxxxxxxx\"><!ENTITY b \"&a;&a;&a;&a;\">]>\n<configuration>&b;</configuration>";
    let external =
        "<!DOCTYPE c [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>\n<configuration>&a;</configuration>";
    let table = [
        (bomb, "core-site.xml:1: a document type"),
        (external, "core-site.xml:1: a document type"),
        ("<html><body/></html>", "core-site.xml:1: the top element is not <configuration>"),
        ("", "core-site.xml:1: "),
        ("<configuration>\n<property>\n</configuration>", "core-site.xml:3: "),
        (
            "<configuration>\n<property><name>a</name><value>hunter2&x;</value></property></configuration>",
            "core-site.xml:2: ",
        ),
        ("<configuration><xi:include href=\"x\"/></configuration>", "core-site.xml:1: "),
    ];
    for (text, expected) in table {
        let told = refusal(&[("core-site.xml", text)]);
        assert!(told.starts_with(expected) && !told.contains("hunter2"), "{text}: {told}");
    }
    let wide = document(&"<a/>".repeat(200_000));
    assert!(refusal(&[("core-site.xml", &wide)]).contains("more than 100000 elements"));
    let deep = format!("<configuration>{}", "<configuration>".repeat(60_000));
    refusal(&[("core-site.xml", &deep)]);
    let deep = ["<configuration>".repeat(30), "</configuration>".repeat(30)].concat();
    assert!(refusal(&[("core-site.xml", &deep)]).contains("nested deeper than 20"));
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("core-site.xml"), b"<configuration>\xe9</configuration>").unwrap();
    let latin = read_sites(&[place.path().into()]).unwrap_err().to_string();
    assert!(latin.ends_with("core-site.xml is not UTF-8 at byte 15"), "{latin}");
}

#[test]
fn values_are_read_by_their_type() {
    assert_eq!(value(" TRUE ").flag("x").unwrap(), Some(true));
    assert_eq!(value("0x1F").number::<u16>("x").unwrap(), Some(31));
    assert_eq!(value("-1").number::<i64>("x").unwrap(), Some(-1));
    assert_eq!(value("0.95").fraction("x").unwrap(), Some(0.95));
    let ms = Duration::from_millis(1);
    for (text, expected) in [("1500", 1_500), ("2s", 2_000), ("3 M", 180_000), ("7ms", 7), ("1d", 86_400_000)]
    {
        assert_eq!(value(text).duration("x", ms).unwrap(), Some(Duration::from_millis(expected)), "{text}");
    }
    for (text, expected) in [("17", 17), ("64K", 65_536), ("128m", 128 << 20), ("1t", 1 << 40)] {
        assert_eq!(value(text).bytes("x").unwrap(), Some(expected), "{text}");
    }
    assert_eq!(value(" a , b,,\nc ").list("x").unwrap(), ["a", "b", "c"]);
    for (text, expected) in [
        ("nn1", "nn1:8020"),
        ("nn1:9000", "nn1:9000"),
        ("hdfs://nn1:9000/x", "nn1:9000"),
        ("[::1]:9000", "[::1]:9000"),
        ("[::1]", "[::1]:8020"),
    ] {
        assert_eq!(value(text).address("x", 8020).unwrap().unwrap().to_string(), expected, "{text}");
    }
    assert_eq!(value(" ").flag("x").unwrap(), None, "blank is not set");
    assert_eq!(value("").number::<u16>("none").unwrap(), None);
    assert_eq!(
        conf("").address("yarn.resourcemanager.address", 1).unwrap().unwrap().to_string(),
        "0.0.0.0:8032"
    );
}

#[test]
fn values_of_a_wrong_type_are_refused_with_file_and_line_and_without_the_value() {
    fn refused<T: std::fmt::Debug>(result: Result<T, HadoopConfError>) {
        let error = result.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("x (/") && text.contains("core-site.xml:3) must be "), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(error.category(), crate::Category::Environment);
    }
    for text in ["hunter2", "1.5.g", "-", "0x", ":", "s", "é", "\u{212a}", "99999999999999999999"] {
        let conf = value(text);
        refused(conf.flag("x"));
        refused(conf.number::<u32>("x"));
        refused(conf.bytes("x"));
        refused(conf.duration("x", Duration::from_secs(1)));
    }
    for text in ["a:b:c", ":80", "a:0", "a:70000", "a b", "[::1", "[::1]x", "::1", "$(x)"] {
        refused(value(text).address("x", 1));
    }
    refused(value("70000").number::<u16>("x"));
    refused(value("nan").fraction("x"));
}

#[test]
fn secrets_are_not_shown() {
    let read = sites(&[("core-site.xml", &document(&property("fs.s3a.secret.key", "hunter2")))]).unwrap();
    assert!(read[0].properties[0].is_secret());
    let shown = format!("{read:?} {:?} {:?}", HadoopConf::new(&read, variables()), variables());
    assert!(!shown.contains("hunter2") && !shown.contains("nn1"), "{shown}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("core-site.xml"), bytes).unwrap();
        let _ = read_sites(&[place.path().into()]);
    }

    #[test]
    fn any_document_is_read_or_refused(
        text in "(<property>|</property>|<name>|</name>|<value>|</value>|<configuration>|</configuration>|<!--|-->|<!\\[CDATA\\[|\\]\\]>|&lt;|&x;|<!DOCTYPE|<\\?xml|[a-z\"'/>=\\x00é ]){0,40}",
    ) {
        let _ = sites(&[("core-site.xml", &text)]);
        let _ = sites(&[("core-site.xml", &document(&text))]);
    }

    #[test]
    fn any_value_is_expanded_and_parsed_or_refused(text in "(\\$\\{|\\}|env\\.|x|user\\.name|:-|[-a-z0-9 .:\\[\\]é]){0,20}") {
        let conf = value(&text);
        let _ = (conf.text("x"), conf.flag("x"), conf.number::<i64>("x"), conf.bytes("x"), conf.list("x"));
        let _ = (conf.address("x", 1), conf.duration("x", Duration::from_millis(1)), conf.fraction("x"));
        let site = sites(&[("core-site.xml", &document(&property("x", &text)))]).unwrap().remove(0);
        let _ = site.with_environment(&variables());
    }

    #[test]
    fn what_is_written_is_read_again(name in "[!-~]{1,10}", value in "[ -~\\n\\r\\té]{1,30}", is_final: bool) {
        let written = Property { name: name.clone(), value: value.clone(), is_final, file: "x".into(), line: 1 };
        let site = SiteFile { name: "core-site.xml".into(), properties: vec![written] };
        let read = sites(&[("core-site.xml", &render(&site))]).unwrap().remove(0).properties.remove(0);
        prop_assert_eq!((read.name, read.value, read.is_final), (name, value, is_final));
    }
}
