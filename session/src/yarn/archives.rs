//! Archives of Flink's classes (AppCDS) for a cluster on YARN: what is there goes along, and with it the
//! plan by which the cluster has made what is not.

use std::collections::BTreeMap;

use futures_util::future::join;
use kobel_flink::launch::cds;
use kobel_plan::{
    ClusterPlan, FlinkRole,
    yarn::{Archives, RemoteFile, YarnPlan},
};
use kobel_staging::{AppId, Digest, Directory, Made, Staging, StagingError};

use super::submit::{of_application, of_everybody};
use crate::{Context, train};

/// The name of the training's plan in the application's directory.
const PLAN: &str = "train.json";
/// So many kinds of nodes are provided for at most, those that were trained on last.
const MACHINES: usize = 4;

/// By these variables a JVM finds Hadoop's configuration.
const HADOOP: [&str; 3] = ["HADOOP_USER_NAME", "HADOOP_CONF_DIR", "YARN_CONF_DIR"];

/// What a cluster could make use of.
pub(super) struct Wanted {
    recipe: Digest,
    training: Vec<u8>,
}

impl Wanted {
    /// For a plan of a container's paths, with this tar of Flink; none where there shall be no archives.
    pub(super) fn of(ctx: &Context, plan: &ClusterPlan, tar: Digest, yarn: &YarnPlan) -> Option<Self> {
        if !train::is_wanted(ctx)
            || [&plan.job_manager, &plan.task_manager].iter().any(|r| cds::is_settled(r))
        {
            return None;
        }
        let mut training = train::small(ctx, plan)?;
        for (role, real) in
            [(&mut training.job_manager, &plan.job_manager), (&mut training.task_manager, &plan.task_manager)]
        {
            let hadoop =
                HADOOP.iter().filter_map(|name| Some((name.to_string(), real.env.get(*name)?.clone())));
            role.env.extend(hadoop);
        }
        training.yarn = Some(yarn.clone());
        let training = serde_json::to_vec(&training).ok()?;
        Some(Self { recipe: recipe(plan, tar), training })
    }

    /// Puts the training's plan into the application's directory, and looks for what there is already. That
    /// nothing can be looked for harms nobody.
    pub(super) async fn look(
        &self,
        staging: &Staging,
        app: &AppId,
        directory: &Directory,
    ) -> Result<Archives, StagingError> {
        let (made, training) =
            join(staging.all_made(self.recipe, app), directory.put(PLAN, self.training.clone())).await;
        let made = made.inspect_err(|error| tracing::warn!(%error, "cannot look for archives of classes"));
        let made = newest(&made.unwrap_or_default());
        Ok(Archives { recipe: self.recipe.to_string(), made, training: of_application(&training?) })
    }
}

/// The archives of each role that were made last.
fn newest(made: &[Made]) -> BTreeMap<String, RemoteFile> {
    let of_role = |role| {
        let mine = made.iter().filter(move |made| Archives::is_kind(role, &made.kind));
        mine.take(MACHINES).map(|made| (made.kind.clone(), of_everybody(&made.staged)))
    };
    of_role(FlinkRole::JobManager).chain(of_role(FlinkRole::TaskManager)).collect()
}

/// Names what an archive is made of, as far as it is the same on every node. What stands behind Flink's
/// jars, and which Java, every node knows for itself.
fn recipe(plan: &ClusterPlan, tar: Digest) -> Digest {
    let mut text = format!("{tar}\n");
    for jar in &plan.flink.class_path {
        text.push_str(&format!("{}\n", jar.display()));
    }
    for role in [&plan.job_manager, &plan.task_manager] {
        text.push_str(&format!("{:?}\n", cds::relevant(role)));
    }
    Digest::of(text.as_bytes())
}

/// Links for the master's container: to what its own JVM may use.
pub(super) fn for_master(archives: &Archives) -> impl Iterator<Item = (String, RemoteFile)> {
    let mine = archives.made.iter().filter(|(kind, _)| Archives::is_kind(FlinkRole::JobManager, kind));
    mine.map(|(kind, file)| (Archives::link(kind), file.clone()))
}
