//! What every operation of the submitting side starts from: directories, settings, environment.

use std::path::PathBuf;

use kobel_conf::{dirs::Dirs, settings::Settings};

use crate::{Env, registry::Registry};

/// Made once by the command line.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where state, data, cache and configuration are.
    pub dirs: Dirs,
    /// kobel's own settings: its file, then `KOBEL_*`.
    pub settings: Settings,
    /// The environment of this invocation.
    pub env: Env,
    /// The program that is started as the agent: kobel itself.
    pub agent: PathBuf,
}

impl Context {
    /// The clusters of this user.
    pub fn registry(&self) -> Registry {
        Registry::new(&self.dirs)
    }
}
