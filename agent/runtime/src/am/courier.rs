//! Brings the workers' own files to the nodes by way of the application's directory on HDFS.

use std::time::Duration;

use async_trait::async_trait;
use kobel_conf::chain;
use kobel_hadoop_rpc::yarn::{LocalResource, ResourceKind, UrlError, Visibility};
use kobel_plan::yarn::{RemoteFile, SharedWith};
use kobel_provider::yarn::Courier;
use kobel_staging::{Directory, Staged, StagingError};
use tokio::time::{Instant, sleep};

/// For so long a worker waits for HDFS to come back: it is none of the worker's failures that HDFS is away.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// The application's directory.
#[derive(Debug)]
pub(super) struct HdfsCourier(Directory);

impl HdfsCourier {
    pub(super) fn new(directory: Directory) -> Self {
        Self(directory)
    }

    async fn put(&self, name: &str, contents: Vec<u8>) -> Result<Staged, StagingError> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.0.put(name, contents.clone()).await {
                Err(error) if error.is_outage() && Instant::now() < give_up => {
                    tracing::warn!(name, error = chain(&error), "a worker waits for HDFS");
                    sleep(PAUSE).await;
                    // What an attempt without an answer may have left would be in the way.
                    self.discard(name).await;
                }
                done => return done,
            }
        }
    }
}

#[async_trait]
impl Courier for HdfsCourier {
    async fn deliver(&self, name: &str, contents: Vec<u8>) -> Result<LocalResource, String> {
        let Staged { url, size, mtime, .. } =
            self.put(name, contents).await.map_err(|error| chain(&error))?;
        let file = RemoteFile {
            url,
            size,
            modified_ms: mtime,
            archive: false,
            shared_with: SharedWith::Application,
        };
        local_resource(&file).map_err(|error| error.to_string())
    }

    async fn discard(&self, name: &str) {
        if let Err(error) = self.0.take_away(name).await {
            tracing::debug!(name, error = chain(&error), "a worker's file stays until the application goes");
        }
    }
}

/// In YARN's own terms.
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
