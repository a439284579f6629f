//! `kobel version`.

use std::process::ExitCode;

use serde::Serialize;

use crate::{
    args::VersionArgs,
    context::Ctx,
    failure::Failure,
    render::{View, print},
};

/// What this program is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    api_version: &'static str,
    name: &'static str,
    version: &'static str,
}

impl View for Version {
    type Document = Self;

    fn document(&self) -> &Self {
        self
    }

    fn table(&self, _wide: bool) -> String {
        format!("{} {}\n", self.name, self.version)
    }

    fn names(&self) -> Vec<String> {
        vec![self.version.into()]
    }
}

/// Prints kobel's version.
pub(crate) async fn run(ctx: &Ctx, args: VersionArgs) -> Result<ExitCode, Failure> {
    let version = Version {
        api_version: kobel_plan::API_VERSION,
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    };
    print(&ctx.ui, &version, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}
