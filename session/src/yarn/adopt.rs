//! A cluster that YARN knows and this machine does not: started elsewhere, or the state directory is lost. It
//! is found by its application's id, and known here from then on.

use kobel_conf::{Category, Explain};
use kobel_hadoop_rpc::yarn::{AppReport, ApplicationId};
use kobel_plan::{ClusterDir, ClusterName, ClusterPlan};
use kobel_staging::{AppId, Deadlines, Directory, Hdfs, Staging, StagingError};

use super::{
    Application, Site, SiteError,
    application::staging_dir,
    manager::{Managers, RmError, Sighting},
    one_line,
    submit::master_mib,
};
use crate::{
    Cluster, Context, Registry, fsx,
    registry::{RegistryError, file_error},
};

/// What every application of kobel's is tagged with.
pub(super) const TAG: &str = "kobel";

/// An application could not be made known here.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// No YARN cluster is known.
    #[error("to look for {id}, YARN must be known")]
    Site {
        /// The application.
        id: ApplicationId,
        /// Why it is not.
        source: Box<SiteError>,
    },
    /// The ResourceManager does not tell.
    #[error(transparent)]
    Rm(#[from] RmError),
    /// The ResourceManager is only starting.
    #[error("the ResourceManager is only starting, and does not tell of {0} yet")]
    NotYet(ApplicationId),
    /// There is no such application.
    #[error("YARN does not know {0}")]
    Unknown(ApplicationId),
    /// It is another user's.
    #[error("{id} is {owner}'s, and only {owner} may change it or look into its files; you are {user}")]
    NotYours {
        /// The application.
        id: ApplicationId,
        /// Whose it is.
        owner: String,
        /// Who asks.
        user: String,
    },
    /// Somebody else's program started it.
    #[error("{id} was not started by kobel: YARN has it as {kind} {name:?}")]
    NotOurs {
        /// The application.
        id: ApplicationId,
        /// Its type.
        kind: String,
        /// Its name.
        name: String,
    },
    /// It has ended.
    #[error("{id} is over: {state}{}", words(diagnostics))]
    Over {
        /// The application.
        id: ApplicationId,
        /// How it ended.
        state: String,
        /// YARN's words.
        diagnostics: String,
    },
    /// Its directory is not where it would be.
    #[error("{id} runs, and there is no {url}")]
    NoFiles {
        /// The application.
        id: ApplicationId,
        /// Its directory.
        url: String,
    },
    /// Its directory cannot be read.
    #[error("could not read the files of {id}")]
    Staging {
        /// The application.
        id: ApplicationId,
        /// Why not.
        source: StagingError,
    },
    /// Another kobel wrote it.
    #[error("the plan of {id} is none that this kobel can read")]
    Plan {
        /// The application.
        id: ApplicationId,
        /// Why not.
        source: serde_json::Error,
    },
    /// It cannot be written down here.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

fn words(diagnostics: &str) -> String {
    let words = one_line(diagnostics);
    if words.is_empty() { words } else { format!(", {words}") }
}

impl Explain for AdoptError {
    fn category(&self) -> Category {
        match self {
            AdoptError::Site { source, .. } => source.category(),
            AdoptError::Rm(e) => e.category(),
            AdoptError::NotYet(_) => Category::NotReady,
            AdoptError::NotYours { .. } => Category::Denied,
            AdoptError::Staging { source, .. } => source.category(),
            AdoptError::Plan { .. } => Category::Environment,
            AdoptError::Registry(e) => e.category(),
            _ => Category::NotFound,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            AdoptError::Site { source, .. } => source.hint(),
            AdoptError::Rm(e) => e.hint(),
            AdoptError::NotYet(_) | AdoptError::Plan { .. } => None,
            AdoptError::Unknown(_) => Some("yarn application -list".into()),
            AdoptError::NotYours { owner, .. } => Some(format!("ask {owner}, or run this as {owner}")),
            AdoptError::NotOurs { id, .. } => Some(format!("yarn application -status {id}")),
            AdoptError::Over { id, .. } => Some(format!("yarn logs -applicationId {id}")),
            AdoptError::NoFiles { .. } => {
                Some("KOBEL_STAGING_DIR=DIR   (the staging.dir that it was started with)".into())
            }
            AdoptError::Staging { source, .. } => source.hint(),
            AdoptError::Registry(e) => e.hint(),
        }
    }
}

/// Makes a running cluster known here, under its own name or, if that is taken, one like it.
pub(crate) async fn adopt(ctx: &Context, id: ApplicationId) -> Result<Cluster, AdoptError> {
    let site =
        Site::find(&ctx.env, |_| None).map_err(|source| AdoptError::Site { id, source: Box::new(source) })?;
    let managers = site.managers(ctx.settings.yarn_api.value);
    let report = running(&site, &managers, id).await?;
    let unread = |source| AdoptError::Staging { id, source };
    let hdfs = Hdfs::new(None, &site.properties, &site.user, Deadlines::default());
    let hdfs = hdfs.map_err(|e| unread(e.into()))?;
    let base = staging_dir(&ctx.settings, &hdfs, None);
    let staging = Staging::new(std::sync::Arc::new(hdfs), &base, &[], &Default::default());
    let app = AppId::try_from(id.to_string().as_str()).map_err(unread)?;
    let directory = staging.existing(&app).await.map_err(unread)?;
    let directory = directory.ok_or_else(|| AdoptError::NoFiles { id, url: staging.url_of(&app) })?;
    let (plan, secret) = read(&directory, id).await?;
    let called = plan.name.clone();
    let application = Application {
        id,
        user: report.user,
        managers,
        staging: base,
        hadoop: site.properties,
        master_mib: master_mib(&plan),
        secret,
        collection: site.collection,
        called: None,
    };
    let name = free_name(&ctx.registry(), &called, id)?;
    let application = Application { called: (name != called).then_some(called), ..application };
    tracing::info!(%id, cluster = %name, "makes a cluster known here");
    Ok(write(&ctx.registry(), name, plan, &application)?)
}

/// What YARN has of an application of ours that is not over.
async fn running(site: &Site, managers: &Managers, id: ApplicationId) -> Result<AppReport, AdoptError> {
    let report = match managers.open(&site.user)?.report(id).await? {
        Sighting::Seen(report) => report,
        Sighting::NotYet => return Err(AdoptError::NotYet(id)),
        Sighting::Gone => return Err(AdoptError::Unknown(id)),
    };
    if !report.tags.iter().any(|tag| tag == TAG) {
        return Err(AdoptError::NotOurs { id, kind: report.kind, name: report.name });
    }
    if report.user != site.user {
        return Err(AdoptError::NotYours { id, owner: report.user, user: site.user.clone() });
    }
    if report.state.is_over() {
        let (state, diagnostics) = (report.state.to_string(), report.diagnostics);
        return Err(AdoptError::Over { id, state, diagnostics });
    }
    Ok(report)
}

/// Plan and secret, as they were given to the master.
async fn read(directory: &Directory, id: ApplicationId) -> Result<(ClusterPlan, String), AdoptError> {
    let unread = |source| AdoptError::Staging { id, source };
    let plan = directory.read("plan.json").await.map_err(unread)?;
    let plan = serde_json::from_slice(&plan).map_err(|source| AdoptError::Plan { id, source })?;
    let secret = directory.read("secret").await.map_err(unread)?;
    Ok((plan, String::from_utf8_lossy(&secret).trim().into()))
}

/// The cluster's own name; else, with the number of its application, one that nobody has.
fn free_name(
    registry: &Registry,
    called: &ClusterName,
    id: ApplicationId,
) -> Result<ClusterName, RegistryError> {
    let known: Vec<_> = registry.list()?.into_iter().map(|cluster| cluster.name).collect();
    let number = format!("-{:04}", id.number);
    let stem: String = called.as_str().chars().take(ClusterName::MAX - number.len()).collect();
    let whole = id.to_string().parse();
    let names = [Ok(called.clone()), format!("{stem}{number}").parse(), whole];
    let free = names.into_iter().filter_map(Result::ok).find(|name| !known.contains(name));
    Ok(free.unwrap_or_else(|| called.clone()))
}

fn write(
    registry: &Registry,
    name: ClusterName,
    plan: ClusterPlan,
    application: &Application,
) -> Result<Cluster, RegistryError> {
    let claim = registry.claim(&name)?;
    let dir: ClusterDir = claim.dir.clone();
    application.write(&dir)?;
    let plan = ClusterPlan { name: name.clone(), log_dir: dir.logs(), ..plan };
    let path = dir.plan();
    let json = serde_json::to_vec_pretty(&plan)
        .map_err(|source| RegistryError::Damaged { path: path.clone(), source })?;
    fsx::write_whole(&path, &json).map_err(file_error("write", path))?;
    Ok(Cluster { name, dir })
}

#[cfg(test)]
mod tests {
    use kobel_conf::settings::YarnApi;

    use super::*;
    use crate::registry::tests::plan;

    fn application(id: ApplicationId) -> Application {
        Application {
            id,
            user: "ann".into(),
            managers: Managers { web: vec!["http://rm:8088".into()], rpc: Vec::new(), api: YarnApi::Auto },
            staging: "/user/ann/.kobel".into(),
            hadoop: Default::default(),
            master_mib: 1024,
            secret: "s3cret".into(),
            collection: None,
            called: None,
        }
    }

    #[test]
    fn a_name_that_is_taken_gets_the_applications_number() {
        let tmp = tempfile::tempdir().unwrap();
        let at = |name| tmp.path().join(name);
        let registry = Registry::new(&kobel_conf::dirs::Dirs {
            state: at("state"),
            data: at("data"),
            cache: at("cache"),
            config_file: at("c.toml"),
        });
        let id = |n: u32| format!("application_1700000000000_{n:04}").parse::<ApplicationId>().unwrap();
        let called: ClusterName = "etl".parse().unwrap();
        let mut names = Vec::new();
        for n in [7, 12, 12] {
            let name = free_name(&registry, &called, id(n)).unwrap();
            let claimed = write(&registry, name, plan(tmp.path()), &application(id(n))).unwrap();
            assert_eq!(claimed.plan().unwrap().name, claimed.name);
            names.push(claimed.name.to_string());
        }
        assert_eq!(names, ["etl", "etl-0012", "application_1700000000000_0012"]);
        let found = registry.of_application(id(7)).unwrap().unwrap();
        assert_eq!(found.name, called);
        assert_eq!(registry.of_application(id(8)).unwrap(), None);
    }
}
