//! Brings the workers' own files to the nodes by way of the application's directory on HDFS.

use async_trait::async_trait;
use kobel_conf::chain;
use kobel_hadoop_rpc::yarn::{LocalResource, ResourceKind, UrlError, Visibility};
use kobel_plan::yarn::{RemoteFile, SharedWith};
use kobel_provider::yarn::Courier;
use kobel_staging::{Directory, Staged};

/// The application's directory.
#[derive(Debug)]
pub(super) struct HdfsCourier(Directory);

impl HdfsCourier {
    pub(super) fn new(directory: Directory) -> Self {
        Self(directory)
    }
}

#[async_trait]
impl Courier for HdfsCourier {
    async fn deliver(&self, name: &str, contents: Vec<u8>) -> Result<LocalResource, String> {
        let Staged { url, size, mtime, .. } =
            self.0.put(name, contents).await.map_err(|error| chain(&error))?;
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
