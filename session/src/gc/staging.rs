//! What applications on YARN left in staging directories on HDFS.
//!
//! Which staging directories there are, Hadoop's configuration says, and the records of this machine's
//! clusters. Which applications are over, only YARN knows: unless it can be asked, nothing of theirs goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{FutureExt, future::BoxFuture};
use kobel_conf::units::millis;
use kobel_hadoop_rpc::yarn::ApplicationId;
use kobel_staging::{
    AppId, Deadlines, FileSystem, Hdfs, Leftover, Rules, Staging as Store, StagingError, What,
};

use super::{Bin, GcError, Kind, Source};
use crate::{
    Context,
    yarn::{
        Application, Site, SiteError,
        manager::{Manager, Managers, RmError, Sighting},
    },
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// An upload, or the start of an application, takes less.
const UNDER_WAY: Duration = DAY;
/// How long results and logs of a cluster that is over are kept.
const HISTORY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// For each call of HDFS. The first that runs out ends the search.
const DEADLINES: Deadlines = Deadlines { call: Duration::from_secs(10), piece: Duration::from_secs(10) };
/// For each call of a ResourceManager.
const ANSWER: Duration = Duration::from_secs(5);

/// All staging directories that are known here.
pub(super) struct Staging<'a> {
    pub(super) ctx: &'a Context,
}

/// A user's staging directory, and who knows what became of the applications in it.
struct Place {
    user: String,
    base: String,
    /// The properties of core-site and hdfs-site.
    hadoop: BTreeMap<String, String>,
    /// The ResourceManagers of each YARN cluster that has applications there.
    yarns: Vec<Managers>,
    /// This machine's applications, and whether their start is under way.
    ours: BTreeMap<AppId, bool>,
}

/// Applications that run no more.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ended {
    /// YARN says so, or nobody goes on starting them.
    over: BTreeSet<AppId>,
    /// YARN does not know them: it has forgotten them, or they are about to be submitted.
    unknown: BTreeSet<AppId>,
}

/// Why something is there yet.
#[derive(Debug, thiserror::Error)]
enum Stays {
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error("an application has just asked for it")]
    Wanted,
}

impl Source for Staging<'_> {
    fn sweep<'a>(&'a self, bin: &'a mut Bin) -> BoxFuture<'a, Result<(), GcError>> {
        async {
            for place in self.places(bin)? {
                let swept = place.sweep(bin).await;
                // One HDFS that is down hides no other.
                bin.errors.extend(swept.err());
            }
            Ok(())
        }
        .boxed()
    }
}

impl Staging<'_> {
    fn places(&self, bin: &mut Bin) -> Result<Vec<Place>, GcError> {
        let mut places = Vec::new();
        match self.configured() {
            Ok(place) => places.extend(place),
            Err(error) => bin.errors.push(error),
        }
        for cluster in self.ctx.registry().list()? {
            let application = match Application::of(&cluster.dir) {
                Ok(Some(application)) => application,
                Ok(None) => continue,
                Err(error) => {
                    bin.errors.push(error.into());
                    continue;
                }
            };
            let ours = (application.app_id()?, cluster.is_locked()?);
            add(&mut places, application, ours);
        }
        Ok(places)
    }

    /// The place of this environment's Hadoop configuration, if there is one.
    fn configured(&self) -> Result<Option<Place>, GcError> {
        let env = &self.ctx.env;
        if env.get("HADOOP_CONF_DIR").or_else(|| env.get("YARN_CONF_DIR")).is_none() {
            return Ok(None);
        }
        let site = match Site::find(env, |_| None) {
            // There no cluster on YARN can have been started.
            Err(SiteError::NoFile { .. } | SiteError::NotHdfs { .. } | SiteError::Secured { .. }) => {
                return Ok(None);
            }
            found => found?,
        };
        let hdfs = Hdfs::new(None, &site.properties, &site.user, DEADLINES).map_err(StagingError::from)?;
        let base = self.ctx.settings.staging_dir.value.clone();
        Ok(Some(Place {
            base: base.unwrap_or_else(|| format!("{}/.kobel", hdfs.home())),
            yarns: vec![site.managers(self.ctx.settings.yarn_api.value)],
            user: site.user,
            hadoop: site.properties,
            ours: BTreeMap::new(),
        }))
    }
}

/// Adds an application of this machine to its place.
fn add(places: &mut Vec<Place>, application: Application, ours: (AppId, bool)) {
    let Application { user, managers, staging, hadoop, .. } = application;
    let is_there = |place: &&mut Place| {
        let system = |hadoop: &BTreeMap<String, String>| hadoop.get("fs.defaultFS").cloned();
        (&place.user, &place.base) == (&user, &staging) && system(&place.hadoop) == system(&hadoop)
    };
    if let Some(place) = places.iter_mut().find(is_there) {
        if !place.yarns.iter().any(|known| known.web == managers.web) {
            place.yarns.push(managers);
        }
        place.ours.extend([ours]);
    } else {
        places.push(Place { user, base: staging, hadoop, yarns: vec![managers], ours: [ours].into() });
    }
}

impl Place {
    async fn sweep(&self, bin: &mut Bin) -> Result<(), GcError> {
        let hdfs = Hdfs::new(None, &self.hadoop, &self.user, DEADLINES).map_err(StagingError::from)?;
        self.sweep_in(Arc::new(hdfs), bin).await
    }

    async fn sweep_in(&self, fs: Arc<dyn FileSystem>, bin: &mut Bin) -> Result<(), GcError> {
        let store = Store::new(fs.clone(), &self.base, &[], &BTreeSet::new());
        let ended = match self.ended(&store.applications().await?).await {
            Ok(ended) => ended,
            Err(error) => {
                tracing::info!(error = &error as &dyn std::error::Error, "applications cannot be asked for");
                let why = "the ResourceManager cannot be asked which applications are over";
                bin.spare(fs.url(&format!("{}/apps", self.base)), why);
                Ended::default()
            }
        };
        let over = |app: &AppId| ended.over.contains(app) || ended.unknown.contains(app);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let rules =
            Rules { now: millis(since), partial: UNDER_WAY, unused: DAY, history: HISTORY, over: &over };
        for left in store.leftovers(rules).await? {
            let location = fs.url(&left.path);
            if ended.may_come(&left) {
                bin.spare(location, "YARN does not know it, and it is young: it may just be submitted");
                continue;
            }
            let mut hangs = false;
            let removal = async {
                match store.clear(&left, rules).await {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Stays::Wanted),
                    Err(error) => {
                        hangs = error.passing();
                        Err(error.into())
                    }
                }
            };
            let (kind, why) = words(&left);
            bin.put(kind, location, left.size, why, removal).await;
            if hangs {
                // The next would wait as long for nothing.
                break;
            }
        }
        Ok(())
    }

    /// What YARN says of these applications. An error if it can be asked for one of them only in part.
    async fn ended(&self, applications: &BTreeSet<AppId>) -> Result<Ended, RmError> {
        let mut ended = Ended::default();
        let open = |managers: &Managers| managers.open_within(&self.user, ANSWER);
        let managers = self.yarns.iter().map(open).collect::<Result<Vec<_>, RmError>>()?;
        for app in applications {
            let ours = self.ours.get(app);
            let Ok(id) = app.to_string().parse::<ApplicationId>() else { continue };
            if ours == Some(&true) {
                continue;
            }
            match is_over(&managers, id).await? {
                Some(true) => ended.over.insert(app.clone()),
                // Who started it is here no more to submit it.
                None if ours.is_some() => ended.over.insert(app.clone()),
                None => ended.unknown.insert(app.clone()),
                Some(false) => false,
            };
        }
        Ok(ended)
    }
}

/// Whether an application is over, or nothing where no YARN cluster knows it.
async fn is_over(managers: &[Box<dyn Manager>], id: ApplicationId) -> Result<Option<bool>, RmError> {
    let mut seen = None;
    for manager in managers {
        match manager.report(id).await? {
            Sighting::Seen(report) if report.state.is_over() => seen = Some(true),
            Sighting::Seen(_) | Sighting::NotYet => return Ok(Some(false)),
            Sighting::Gone => {}
        }
    }
    Ok(seen)
}

impl Ended {
    /// Whether an application's directory may have been made for a start that is under way elsewhere.
    fn may_come(&self, left: &Leftover) -> bool {
        matches!(&left.what, What::Application(app) if self.unknown.contains(app)) && left.age < UNDER_WAY
    }
}

fn words(left: &Leftover) -> (Kind, &'static str) {
    match left.what {
        What::Application(_) => (Kind::Application, "its application is over"),
        What::Blob(_) => (Kind::Staged, "no application has asked for it for a day"),
        What::Partial => (Kind::Upload, "an upload that did not get to its end"),
        What::Lease(_) => (Kind::Lease, "the mark of an application that is over"),
        What::History => (Kind::History, "its cluster has been over for a week"),
    }
}
