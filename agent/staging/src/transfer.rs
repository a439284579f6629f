//! Sends a content to a file: read and hashed on one thread while the pieces before it are on their way.

use std::{
    io::{self, Read},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use kobel_conf::chain;
use sha2::Digest as _;
use tokio::sync::mpsc;

use crate::{Digest, FileSystem, PIECE, Source, StagingError};

/// Told how many more bytes were sent.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// Pieces that lie between the reader and the file system.
const AHEAD: usize = 4;

/// What was sent.
pub(crate) struct Sent {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Makes the file with this content. On failure something may be left of it. Where another server may take over
/// what one did not answer, it is made once more: nobody knows what the first one did last.
pub(crate) async fn send(
    fs: &dyn FileSystem,
    path: &str,
    mode: u32,
    source: &Source,
    progress: Progress<'_>,
) -> Result<Sent, StagingError> {
    let told = AtomicU64::new(0);
    let count = |more| {
        told.fetch_add(more, Ordering::Relaxed);
        progress(more);
    };
    match send_once(fs, path, mode, source, &count).await {
        Err(error) if fs.fails_over() && error.is_outage() => {
            tracing::warn!(path, error = chain(&error), "an upload begins again");
            if fs.remove(path).await.is_err() {
                return Err(error);
            }
            let (told, sent) = (told.into_inner(), AtomicU64::new(0));
            // What was told is not told again.
            let count = |more| {
                let sent = sent.fetch_add(more, Ordering::Relaxed) + more;
                progress(sent.saturating_sub(told).min(more));
            };
            send_once(fs, path, mode, source, &count).await
        }
        done => done,
    }
}

async fn send_once(
    fs: &dyn FileSystem,
    path: &str,
    mode: u32,
    source: &Source,
    progress: Progress<'_>,
) -> Result<Sent, StagingError> {
    let (pieces, mut waiting) = mpsc::channel(AHEAD);
    let unreadable = |error| StagingError::Source { what: source.to_string(), source: error };
    let mut sink = fs.create(path, mode).await?;
    let reading = source.clone();
    let reader = tokio::task::spawn_blocking(move || read(&reading, &pieces));
    let mut size = 0;
    while let Some(piece) = waiting.recv().await {
        let length = piece.len() as u64;
        sink.write(piece).await?;
        size += length;
        progress(length);
    }
    let read = reader.await.map_err(|error| unreadable(io::Error::other(error)))?;
    let digest = read.map_err(unreadable)?;
    sink.close().await?;
    Ok(Sent { digest, size })
}

/// Reads to the end, or until nobody takes the pieces any more.
fn read(source: &Source, pieces: &mpsc::Sender<Bytes>) -> io::Result<Digest> {
    let mut reader = source.open()?;
    let mut state = sha2::Sha256::new();
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        reader.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        state.update(&piece);
        if piece.is_empty() || pieces.blocking_send(piece.into()).is_err() {
            return Ok(state.into());
        }
    }
}
