//! A machine with a Flink and a Java by their names only: enough for whatever starts nothing.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use super::Kobel;

/// kobel beside them.
pub(super) struct Machine {
    pub(super) kobel: Kobel,
}

impl Machine {
    pub(super) fn new() -> Self {
        let machine = Self { kobel: Kobel::new() };
        machine.file("flink/lib/flink-dist-1.20.5.jar", "");
        machine.file("flink/conf/config.yaml", "parallelism:\n  default: 1\n");
        machine.file("java/release", "JAVA_VERSION=\"17.0.9\"\n");
        machine.program("java/bin/java", "#!/bin/sh\nexit 1\n");
        machine
    }

    /// Where this is in its home.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.kobel.home().join(name)
    }

    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A file that can be run.
    pub(super) fn program(&self, name: &str, content: &str) {
        fs::set_permissions(self.file(name, content), fs::Permissions::from_mode(0o700)).unwrap();
    }
}
