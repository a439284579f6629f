//! Compiles every file of `proto/`, without protoc.

use std::error::Error;
use std::path::PathBuf;

/// Messages that hold secrets: the crate writes their `Debug` itself.
const SECRET: [&str; 3] =
    [".hadoop.common.TokenProto", ".hadoop.common.CredentialsKVProto", ".hadoop.yarn.ContainerLaunchContext"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut files = std::fs::read_dir("proto")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<PathBuf>, _>>()?;
    files.retain(|path| path.extension().is_some_and(|ext| ext == "proto"));
    files.sort();
    let set = protox::compile(&files, ["proto"])?;
    prost_build::Config::new().skip_debug(SECRET).compile_fds(set)?;
    Ok(())
}
