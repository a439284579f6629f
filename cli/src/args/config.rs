//! Verbs on the effective configuration.

use clap::{Args, Subcommand};
use kobel_plan::ClusterName;

use super::{ClusterArgs, Output};

/// Verbs on the effective configuration.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ConfigCommand {
    Show(ConfigShowArgs),
    Explain(ConfigExplainArgs),
}

/// Shows a cluster's Flink configuration, or the one that `kobel start` would use, and where each value
/// comes from
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigShowArgs {
    /// A cluster, living or over [default: what `kobel start` would use]
    #[arg(conflicts_with = "ClusterArgs")]
    pub(crate) name: Option<ClusterName>,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Shows one key of that configuration; exit code 1 where nobody sets it
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigExplainArgs {
    /// A key of Flink's, for example taskmanager.numberOfTaskSlots
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}
