//! Parsers of files before what is almost valid: what a person could write, damaged. `scripts/test.sh --fuzz`
//! runs these over and over.

use std::{fs, path::Path, time::Duration};

use proptest::{
    prelude::*,
    sample::{Index, select},
};

use crate::{
    flink::{self, Release},
    hadoop::{self, HadoopConf, Variables},
    hosts,
};

const CORE_SITE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- of the cluster -->
<configuration xmlns:xi="http://www.w3.org/2001/XInclude">
  <property><name>fs.defaultFS</name><value>hdfs://nn.example.org:8020</value><final>true</final></property>
  <property name="hadoop.tmp.dir" value="/tmp/${user.name}"/>
  <property><name>a</name><value><![CDATA[${b}-${env.HOME:-/}]]></value></property>
  <property><name>b</name><value>10s &amp; &#52;g</value><source>x</source></property>
  <xi:include href="other.xml"><xi:fallback/></xi:include>
</configuration>
"#;

const CONFIG_YAML: &str = r#"# of the cluster
jobmanager:
  rpc: {address: localhost, port: 6123}
  memory.process.size: "1600m"
env.java.opts: >-
  -Da=b
  -Dc='d e'
list: [a, "b,c", {d: e}]
parallelism.default: 0x10
&anchor key: *anchor
"#;

const FLINK_CONF: &str =
    "jobmanager.heap.size: 1024m # heap\ntaskmanager.heap.mb: 800\nenv.java.opts: -Da: b\n\nkey value\n";

const HOSTS: &str = "master-1:8081\n# spare\n[::1]:8081\nnode.example.org\n";

/// What a damaged text gets that a valid one may have elsewhere.
const PIECES: [&str; 32] = [
    "<",
    ">",
    "</",
    "/>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "&",
    "&#0;",
    "<!DOCTYPE x>",
    "<property>",
    "${",
    "}",
    "${a}",
    ":",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\t",
    "\"",
    "'",
    "#",
    "{",
    "]",
    "&a ",
    "*a",
    "|\n",
    "\u{0}",
    "\u{feff}",
    "é",
];

/// One change of a text.
#[derive(Debug, Clone)]
enum Damage {
    Insert(Index, &'static str),
    Remove(Index, usize),
    Repeat(Index, usize),
    End(Index),
}

/// The text with some of it spoilt.
fn damaged(valid: &'static str) -> impl Strategy<Value = String> {
    let at = any::<Index>;
    let damage = prop_oneof![
        3 => (at(), select(&PIECES[..])).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        2 => (at(), 1..20usize).prop_map(|(at, size)| Damage::Remove(at, size)),
        1 => (at(), 1..40usize).prop_map(|(at, size)| Damage::Repeat(at, size)),
        1 => at().prop_map(Damage::End),
    ];
    prop::collection::vec(damage, 0..6)
        .prop_map(move |damages| damages.into_iter().fold(valid.to_string(), spoil))
}

fn spoil(text: String, damage: Damage) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (at, size) = match &damage {
        Damage::Insert(at, _) | Damage::End(at) => (at.index(chars.len() + 1), 0),
        Damage::Remove(at, size) | Damage::Repeat(at, size) => (at.index(chars.len() + 1), *size),
    };
    let (before, after) = chars.split_at(at);
    let (piece, rest) = after.split_at(size.min(after.len()));
    let text = |chars: &[char]| chars.iter().collect::<String>();
    match damage {
        Damage::Insert(_, new) => text(before) + new + &text(after),
        Damage::Remove(..) => text(before) + &text(rest),
        Damage::Repeat(..) => text(before) + &text(piece) + &text(piece) + &text(rest),
        Damage::End(_) => text(before),
    }
}

/// Asks for every value in every way.
fn read_values(conf: &HadoopConf) {
    for name in ["fs.defaultFS", "hadoop.tmp.dir", "a", "b"] {
        let _ =
            (conf.text(name), conf.flag(name), conf.number::<i32>(name), conf.bytes(name), conf.list(name));
        let _ = (conf.address(name, 1), conf.duration(name, Duration::from_millis(1)), conf.fraction(name));
    }
}

proptest! {
    #[test]
    fn hadoops_files_are_read_or_refused(text in damaged(CORE_SITE), other in damaged(CORE_SITE)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("core-site.xml"), text).unwrap();
        fs::write(dir.path().join("other.xml"), other).unwrap();
        let variables = || Variables::of_env([("HOME", "/home/ada"), ("USER", "ada")]);
        let Ok(sites) = hadoop::read_sites(&[dir.path().into()]) else { return Ok(()) };
        read_values(&HadoopConf::new(&sites, variables()));
        for site in sites {
            // What is handed on to the nodes says the same.
            fs::write(dir.path().join("core-site.xml"), hadoop::render(&site)).unwrap();
            let again = hadoop::read_sites(&[dir.path().into()]).unwrap().remove(0);
            let facts = |site: &hadoop::SiteFile| -> Vec<_> {
                site.properties.iter().map(|p| (p.name.clone(), p.value.clone(), p.is_final)).collect()
            };
            prop_assert_eq!(facts(&again), facts(&site));
            let _ = site.with_environment(&variables());
        }
    }

    #[test]
    fn flinks_files_are_read_or_refused(
        standard in damaged(CONFIG_YAML),
        legacy in damaged(FLINK_CONF),
        release in select(&[Release { major: 1, minor: 17 }, Release { major: 1, minor: 20 }, Release { major: 2, minor: 3 }][..]),
        both: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.yaml"), standard).unwrap();
        if both {
            fs::write(dir.path().join("flink-conf.yaml"), legacy).unwrap();
        }
        let Ok(mut loaded) = flink::load_dir(dir.path(), release) else { return Ok(()) };
        let _ = flink::upgrade(&mut loaded.conf, release);
        let Ok(text) = flink::render(&loaded.conf.to_map(), loaded.dialect) else { return Ok(()) };
        // What is handed on to Flink says the same.
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join(loaded.dialect.file_name()), text).unwrap();
        let again = flink::load_dir(other.path(), release).unwrap();
        prop_assert_eq!(again.conf.to_map(), loaded.conf.to_map());
    }

    #[test]
    fn lists_of_hosts_are_read_or_refused(text in damaged(HOSTS)) {
        let _ = hosts::parse_masters(&text, Path::new("masters"));
        let _ = hosts::parse_workers(&text, Path::new("workers"));
    }
}
