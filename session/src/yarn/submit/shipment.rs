//! What goes to HDFS for a cluster, and to its containers.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use kobel_hadoop_rpc::yarn::{LocalResource, ResourceKind, UrlError, Visibility};
use kobel_plan::{
    ClusterPlan, JobPlan,
    yarn::{RemoteFile, SharedWith, YarnPlan},
};
use kobel_staging::{Blob, BlobError, Digests, Directory, Source, Staged, Staging};

use super::{
    super::{
        Application, How, Shipped,
        archives::{self, Wanted},
        container::{Cargo, FLINK, KOBEL},
    },
    OnStage, Stage, StartError,
};
use crate::{Context, registry::RegistryError};

/// The name on HDFS of the jar of a job that is to have a cluster of its own.
const PROGRAM: &str = "program.jar";

/// What goes to HDFS.
pub(super) struct Shipment<'a> {
    pub(super) application: &'a Application,
    pub(super) cargo: &'a Cargo,
    pub(super) staging: Staging,
    pub(super) on_stage: OnStage<'a>,
}

impl Shipment<'_> {
    /// Brings there what all containers need: the application's directory, and its files by link. What only a
    /// JobManager needs is returned with it: a program's jar.
    pub(super) async fn ship(
        &self,
        ctx: &Context,
        plan: &ClusterPlan,
        yarn: &mut YarnPlan,
    ) -> Result<(Directory, Option<RemoteFile>), StartError> {
        let app = self.application.app_id()?;
        let (flink, kobel) = self.blobs(ctx).await?;
        let archives = Wanted::of(ctx, plan, flink.digest, yarn);
        let directory = self.staging.application(&app).await?;
        let (sent, of) = (AtomicU64::new(0), flink.size + kobel.size);
        let progress = |more: u64| {
            let sent = sent.fetch_add(more, Ordering::Relaxed) + more;
            (self.on_stage)(Stage::Uploading { sent, of });
        };
        let (links, files): (Vec<_>, Vec<_>) = self.cargo.files().into_iter().unzip();
        let shipped = self.shipped().await?;
        let program: Vec<_> =
            self.cargo.program.iter().map(|jar| (PROGRAM.to_string(), Source::File(jar.clone()))).collect();
        let archives = async {
            match archives {
                Some(wanted) => wanted.look(&self.staging, &app, &directory).await.map(Some),
                None => Ok(None),
            }
        };
        let (flink, kobel, (files, staged, program), archives) = futures_util::future::try_join4(
            self.staging.ensure(&flink, &app, &progress),
            self.staging.ensure(&kobel, &app, &progress),
            futures_util::future::try_join3(
                directory.put_all(&files, &|_| ()),
                directory.put_all(&shipped, &progress),
                directory.put_all(&program, &progress),
            ),
            archives,
        )
        .await?;
        let users = self.cargo.shipped.iter().zip(&staged).map(|(it, staged)| {
            let archive = it.how != How::File;
            (it.link.clone(), RemoteFile { archive, ..of_application(staged) })
        });
        let own = links.into_iter().zip(files.iter().map(of_application));
        let shared = [
            (FLINK.to_string(), RemoteFile { archive: true, ..of_everybody(&flink) }),
            (KOBEL.to_string(), of_everybody(&kobel)),
        ];
        let program = program.first().map(of_application);
        // A standby has a container like a TaskManager's.
        let everywhere = program.clone().filter(|_| plan.wanted.job_managers > 1 || plan.finds_program());
        let everywhere = everywhere.map(|file| (JobPlan::JAR.to_string(), file));
        yarn.worker_files = shared.into_iter().chain(own).chain(users).chain(everywhere).collect();
        yarn.archives = archives;
        Ok((directory, program))
    }

    /// What of the user's is uploaded, by its names there.
    async fn shipped(&self) -> Result<Vec<(String, Source)>, StartError> {
        let shipped = self.cargo.shipped.clone();
        let read = move || {
            let named = |(number, it): (usize, &Shipped)| Ok((it.name(number), it.source()?));
            shipped.iter().enumerate().map(named).collect::<Result<_, BlobError>>()
        };
        read_in_thread(read).await
    }

    /// Flink's distribution and kobel's own program, by their digests.
    async fn blobs(&self, ctx: &Context) -> Result<(Blob, Blob), StartError> {
        let digests = Digests::new(ctx.dirs.cache.join("digests"));
        let ((lib, plugins), kobel) = (self.cargo.directories(), ctx.agent.clone());
        let read = move || Ok((digests.distribution(&lib, &plugins)?, digests.file(&kobel)?));
        read_in_thread(read).await
    }
}

/// Reads files of this machine where that holds up nobody.
async fn read_in_thread<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, StartError> {
    let read: Result<_, BlobError> = tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| {
        Err(BlobError::Read { what: "what is to be uploaded".into(), source: std::io::Error::other(error) })
    });
    Ok(read?)
}

pub(in crate::yarn) fn of_everybody(staged: &Staged) -> RemoteFile {
    let shared_with = match staged.visibility {
        kobel_staging::Visibility::Public => SharedWith::Everybody,
        kobel_staging::Visibility::Private => SharedWith::User,
    };
    RemoteFile { shared_with, ..of_application(staged) }
}

pub(in crate::yarn) fn of_application(staged: &Staged) -> RemoteFile {
    RemoteFile {
        url: staged.url.clone(),
        size: staged.size,
        modified_ms: staged.mtime,
        archive: false,
        shared_with: SharedWith::Application,
    }
}

/// The files of the master's container: the workers', and what only the master may read.
pub(super) async fn master_files(
    application: &Application,
    plan: &ClusterPlan,
    directory: &Directory,
    program: Option<RemoteFile>,
) -> Result<BTreeMap<String, RemoteFile>, StartError> {
    let json = serde_json::to_vec(plan)
        .map_err(|source| RegistryError::Damaged { path: Path::new("plan.json").into(), source })?;
    let own = [
        ("plan.json".to_string(), Source::Bytes(json.into())),
        ("secret".to_string(), Source::Bytes(application.secret.clone().into())),
    ];
    let staged = directory.put_all(&own, &|_| ()).await?;
    let own = own.iter().zip(&staged).map(|((name, _), staged)| (name.clone(), of_application(staged)));
    let workers = plan.yarn.iter().flat_map(|yarn| yarn.worker_files.clone());
    let archives = plan.yarn.iter().filter_map(|yarn| yarn.archives.as_ref()).flat_map(archives::for_master);
    let program = program.map(|file| (JobPlan::JAR.to_string(), file));
    Ok(workers.chain(archives).chain(own).chain(program).collect())
}

pub(super) fn local_resource(file: &RemoteFile) -> Result<LocalResource, UrlError> {
    Ok(LocalResource {
        url: file.url.parse()?,
        size: i64::try_from(file.size).unwrap_or(i64::MAX),
        modified_ms: i64::try_from(file.modified_ms).unwrap_or(i64::MAX),
        kind: if file.archive { ResourceKind::Archive } else { ResourceKind::File },
        visibility: match file.shared_with {
            SharedWith::Everybody => Visibility::Public,
            SharedWith::User => Visibility::Private,
            SharedWith::Application => Visibility::Application,
        },
    })
}
