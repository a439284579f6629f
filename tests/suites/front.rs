//! The front: one address, loopback only, streaming, and nothing that changes the cluster.

use std::{fs, io::Write, net::TcpListener, os::unix::fs::PermissionsExt, path::Path};

use kobel_kit::{Flink, Lab, http, sockets};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode() & 0o777
}

/// A jar of this many incompressible MB, whose manifest names a class that is not there.
fn big_jar(lab: &Lab, mb: usize) -> std::path::PathBuf {
    let jar = lab.path("big.jar");
    let script = "import os,sys,zipfile\n\
        z=zipfile.ZipFile(sys.argv[1],'w')\n\
        z.writestr('META-INF/MANIFEST.MF','Manifest-Version: 1.0\\nMain-Class: absent.Main\\n')\n\
        z.writestr('blob',os.urandom(int(sys.argv[2])<<20))\n\
        z.close()";
    let args = ["-c", script, jar.to_str().unwrap(), &mb.to_string()];
    lab.spawn(Path::new("python3"), &args).wait().ok();
    jar
}

#[test]
fn the_front_is_private_and_streams() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("front", &flink);
    // Whoever holds it, 8081 is taken now, so a free port must do.
    let taken = TcpListener::bind("127.0.0.1:8081");
    let status = lab.kobel(&["start", "front", "--tm", "1", "-o", "json"]).ok().json();
    let rest = status["restUrl"].as_str().unwrap().to_string();
    assert!(!rest.ends_with(":8081"), "{rest}");
    drop(taken);

    let addresses = sockets::listening(&lab.processes());
    assert!(addresses.len() >= 4, "front, REST, RPC and blob server at least: {addresses:?}");
    let wide: Vec<_> = addresses.iter().filter(|a| !a.ip().to_canonical().is_loopback()).collect();
    assert!(wide.is_empty(), "listening beyond loopback: {wide:?}");

    let dir = lab.cluster_dir("front");
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("agent.sock")), 0o600);
    assert_eq!(mode(&dir.join("plan.json")), 0o600);

    let page = http::get(&format!("{rest}/kobel/")).unwrap();
    assert!(page.status == 200 && page.body.contains("tm-0"), "{page:?}");
    let evil = http::request("GET", &format!("{rest}/kobel/v1/status"), &[("Host", "evil.example")]).unwrap();
    assert_eq!(evil.status, 403, "{evil:?}");
    let post = http::request("POST", &format!("{rest}/kobel/v1/stop"), &[("Content-Length", "0")]).unwrap();
    assert!(post.status == 404 || post.status == 405, "{post:?}");

    let agent = status["agent"]["pid"].as_i64().unwrap() as i32;
    let before = sockets::peak_memory_kib(agent);
    let jar = big_jar(&lab, 90);
    let run = lab.kobel(&["run", jar.to_str().unwrap()]);
    assert_ne!(run.code, 0);
    assert!(run.stderr.contains("absent.Main"), "{}", run.stderr);
    let grown = sockets::peak_memory_kib(agent) - before;
    println!("a 90 MB jar through the front: agent {before} KiB at most before, {grown} KiB more after");
    assert!(grown < 10 * 1024, "the agent's memory grew by {grown} KiB");

    let gone = http::request("DELETE", &format!("{rest}/cluster"), &[]).unwrap();
    assert_eq!(gone.status, 202, "{gone:?}");
    lab.kobel(&["wait", "front", "--for", "stopped", "--timeout", "60s"]).ok();
    lab.no_process_left();
}

#[test]
fn a_pinned_port_that_is_taken_is_refused() {
    let Some(flink) = Flink::v1() else { return };
    let lab = Lab::with_flink("pinned", &flink);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let done = lab.kobel(&["start", "-D", &format!("rest.port={port}")]).expect(5);
    assert!(done.stderr.contains(&port.to_string()), "{}", done.stderr);
    lab.no_process_left();
    let _ = std::io::stderr().flush();
}
