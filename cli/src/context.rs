//! What every command starts from.

use kobel_conf::{Category, dirs::Dirs, settings::Settings};
use kobel_session::{Context, Env};

use crate::{args::Global, failure::Failure, ui::Ui};

/// The person, and the way to kobel's own things.
#[derive(Debug)]
pub(crate) struct Ctx {
    /// The streams of this process.
    pub(crate) ui: Ui,
}

impl Ctx {
    /// As the global options have it.
    pub(crate) fn new(global: &Global) -> Self {
        Self { ui: Ui::new(global) }
    }

    /// Directories, settings and environment; looked up by the verbs that need them only, so that
    /// `kobel version` works without a home.
    pub(crate) fn session(&self) -> Result<Context, Failure> {
        let var = |name: &str| std::env::var_os(name);
        let dirs = Dirs::from_env(&var)?;
        let settings = Settings::load(&dirs.config_file, &var)?;
        let agent = std::env::current_exe().map_err(|e| {
            Failure::new(Category::Environment, "cannot find kobel's own program").because(&e)
        })?;
        Ok(Context { dirs, settings, env: Env::of_process(), agent })
    }
}
