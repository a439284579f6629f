//! Downloads over HTTP that go on where they stopped, in this run or a later one.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, Response, StatusCode, Url, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::{DistError, error::Cause, progress::Progress};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);
/// Until the next bytes come.
const STALL: Duration = Duration::from_secs(20);
/// How often a download may break off in one run.
const ATTEMPTS: u32 = 5;
/// A checksum file or an index page.
const MAX_TEXT: usize = 1 << 20;
/// An archive: several times a Flink.
const MAX_FILE: u64 = 4 << 30;

/// The HTTP client of all downloads. Proxies come from the environment, as in curl.
pub(super) fn client() -> Result<Client, DistError> {
    let redirects = reqwest::redirect::Policy::custom(|attempt| {
        let was_safe = attempt.previous().last().is_some_and(|u| u.scheme() == "https");
        if attempt.previous().len() > 10 {
            attempt.error("too many redirects")
        } else if was_safe && attempt.url().scheme() != "https" {
            attempt.error("redirected from https to http")
        } else {
            attempt.follow()
        }
    });
    Client::builder()
        .user_agent(concat!("kobel/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(STALL)
        .redirect(redirects)
        .build()
        .map_err(|e| DistError::Unreachable { site: "the network".into(), source: e.into() })
}

/// Parses an address to download from.
pub(super) fn parse(text: &str) -> Result<Url, DistError> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        // Not shown beyond its scheme and host: the rest may hold a password.
        Ok(url) => Err(DistError::NotAUrl { url: shown(&url) }),
        Err(_) => {
            Err(DistError::NotAUrl { url: text.split(['@', '?']).next_back().unwrap_or_default().into() })
        }
    }
}

/// A URL as people and records may see it: without user info, query and fragment.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Fails for URLs without a host only, which have no user info either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

fn unreachable(url: &Url, error: reqwest::Error) -> DistError {
    DistError::Unreachable { site: url.origin().ascii_serialization(), source: error.without_url().into() }
}

/// A small text.
pub(super) async fn text(client: &Client, url: &Url) -> Result<String, DistError> {
    let mut response = client.get(url.clone()).send().await.map_err(|e| unreachable(url, e))?;
    refuse_errors(url, &response)?;
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| unreachable(url, e))? {
        text.extend_from_slice(&chunk);
        if text.len() > MAX_TEXT {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn refuse_errors(url: &Url, response: &Response) -> Result<(), DistError> {
    match response.status() {
        ok if ok.is_success() => Ok(()),
        status => Err(DistError::Refused { url: shown(url), status: status.as_u16() }),
    }
}

/// What is known of a download that is under way, beside its bytes.
#[derive(Serialize, Deserialize)]
struct Sidecar {
    /// The server's name for exactly these bytes: a strong ETag or Last-Modified. Without one,
    /// going on would risk joining two different files.
    validator: String,
}

/// A download: the bytes that have come, and the note beside them.
struct Part {
    file: PathBuf,
    sidecar: PathBuf,
}

impl Part {
    fn of(url: &Url, dir: &Path) -> Self {
        let name = url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default();
        let safe = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name: String = name.chars().filter(safe).take(100).collect();
        let key: String = Sha256::digest(url.as_str()).iter().take(8).map(|b| format!("{b:02x}")).collect();
        let file = dir.join(format!("{key}-{name}.part"));
        Self { sidecar: file.with_extension("part.json"), file }
    }

    /// How far it has come, and the validator to go on with.
    fn progress(&self) -> Option<(u64, String)> {
        let sidecar: Sidecar = serde_json::from_slice(&fs::read(&self.sidecar).ok()?).ok()?;
        let bytes = fs::metadata(&self.file).ok()?.len();
        (bytes > 0).then_some((bytes, sidecar.validator))
    }

    /// Begins anew, with what this answer is known by.
    fn begin(&self, response: &Response) -> Result<(), DistError> {
        fs::write(&self.file, "").map_err(DistError::io("write", &self.file))?;
        match validator(response) {
            Some(validator) => {
                let json = serde_json::to_vec(&Sidecar { validator }).unwrap_or_default();
                fs::write(&self.sidecar, json).map_err(DistError::io("write", &self.sidecar))
            }
            None => super::lock::gone(fs::remove_file(&self.sidecar))
                .map_err(DistError::io("remove", &self.sidecar)),
        }
    }
}

fn validator(response: &Response) -> Option<String> {
    let header = |name| response.headers().get(name)?.to_str().ok().map(str::to_string);
    // RFC 9110, 13.1.5: If-Range must not carry a weak ETag.
    header(header::ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| header(header::LAST_MODIFIED))
}

/// The first byte and the total of a `Content-Range`: `bytes FIRST-LAST/TOTAL`, where the total may be
/// `*`; or `bytes */TOTAL`, where nothing lies beyond what was asked for.
fn content_range(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let first = range.split_once('-').and_then(|(first, _last)| first.parse().ok());
    Some((first, total.parse().ok()))
}

/// Downloads to a file in a directory that only this process writes, and goes on with what an
/// earlier run left there. The file is the caller's to check, and to remove with [`forget`].
pub(super) async fn file(
    client: &Client,
    url: &Url,
    dir: &Path,
    progress: &dyn Progress,
) -> Result<PathBuf, DistError> {
    let part = Part::of(url, dir);
    progress.phase(&format!("downloading {}", shown(url)));
    let mut attempt = 1;
    loop {
        let source = match attempt_one(client, url, &part, progress).await {
            Ok(()) => return Ok(part.file),
            // Once it has answered, a site that refuses connections is one that comes back.
            Err(Broke::ForGood(DistError::Unreachable { source, .. })) if attempt > 1 => source,
            Err(Broke::ForGood(error)) => return Err(error),
            Err(Broke::Off(source)) => source,
        };
        if attempt == ATTEMPTS {
            return Err(DistError::Cut { url: shown(url), attempts: attempt, source });
        }
        tracing::debug!(url = shown(url), attempt, error = %source, "download broke off");
        progress.note("the download broke off; going on");
        tokio::time::sleep(Duration::from_millis(200) * attempt).await;
        attempt += 1;
    }
}

/// Removes a download that has been used, or turned out wrong.
pub(super) fn forget(file: &Path) {
    for path in [file.to_path_buf(), file.with_extension("part.json")] {
        if let Err(error) = super::lock::gone(fs::remove_file(&path)) {
            tracing::warn!(path = %path.display(), %error, "cannot remove a finished download");
        }
    }
}

enum Broke {
    /// Worth another attempt.
    Off(Cause),
    ForGood(DistError),
}

impl From<DistError> for Broke {
    fn from(error: DistError) -> Self {
        Broke::ForGood(error)
    }
}

async fn attempt_one(client: &Client, url: &Url, part: &Part, progress: &dyn Progress) -> Result<(), Broke> {
    let mut request = client.get(url.clone());
    let resume = part.progress();
    if let Some((bytes, validator)) = &resume {
        request =
            request.header(header::RANGE, format!("bytes={bytes}-")).header(header::IF_RANGE, validator);
    }
    let response = request.send().await.map_err(|e| unreachable(url, e))?;
    let told = response.headers().get(header::CONTENT_RANGE).and_then(|r| content_range(r.to_str().ok()?));
    let (from, total) = match (response.status(), &resume, told) {
        (StatusCode::PARTIAL_CONTENT, Some((bytes, _)), Some((first, total))) if first == Some(*bytes) => {
            (*bytes, total)
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, Some((bytes, _)), Some((None, total)))
            if total == Some(*bytes) =>
        {
            // All of it had come before; only what follows a download was cut short.
            progress.started(total);
            progress.advanced(*bytes);
            return Ok(());
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, Some(_), _) | (StatusCode::PARTIAL_CONTENT, _, _) => {
            // What is here cannot be gone on with; the next attempt starts at the beginning.
            forget(&part.file);
            return Err(Broke::Off("the server cannot go on from there".into()));
        }
        (status, _, _) if status.is_server_error() => {
            return Err(Broke::Off(format!("HTTP status {}", status.as_u16()).into()));
        }
        _ => {
            refuse_errors(url, &response)?;
            part.begin(&response)?;
            (0, response.content_length())
        }
    };
    progress.started(total);
    progress.advanced(from);
    receive(response, url, part, from, progress).await
}

async fn receive(
    mut response: Response,
    url: &Url,
    part: &Part,
    from: u64,
    progress: &dyn Progress,
) -> Result<(), Broke> {
    let opened = tokio::fs::File::options().append(true).open(&part.file).await;
    let mut out = opened.map_err(DistError::io("open", &part.file))?;
    let mut bytes = from;
    let ended = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                out.write_all(&chunk).await.map_err(DistError::io("write", &part.file))?;
                bytes += chunk.len() as u64;
                progress.advanced(chunk.len() as u64);
                if bytes > MAX_FILE {
                    let too_large = std::io::ErrorKind::FileTooLarge.into();
                    return Err(DistError::io("download to", &part.file)(too_large).into());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // Also after an error: what has come counts for the next attempt.
    out.flush().await.map_err(DistError::io("write", &part.file))?;
    ended.map_err(|e| {
        tracing::debug!(url = shown(url), bytes, "connection lost");
        Broke::Off(e.without_url().into())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_secret_of_a_url_is_shown() {
        let url = parse("https://me:hunter2@example.org/a/b.tgz?sig=hunter2#x").unwrap();
        assert_eq!(shown(&url), "https://example.org/a/b.tgz");
        for bad in ["file:///etc/passwd", "ftp://u:hunter2@h/x", "x", "http://u:hunter2@[", ""] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(content_range("bytes 5-9/10"), Some((Some(5), Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((Some(5), None)));
        assert_eq!(content_range("bytes */10"), Some((None, Some(10))));
        assert_eq!(content_range("lines 5-9/10"), None);
    }

    proptest! {
        #[test]
        fn any_header_and_url_is_judged_without_panic(text in "\\PC*") {
            let _ = content_range(&text);
            let _ = parse(&text);
        }

        #[test]
        fn part_files_stay_in_their_directory(path in "\\PC*") {
            if let Ok(url) = parse(&format!("http://h/{path}")) {
                let part = Part::of(&url, Path::new("/cache"));
                prop_assert_eq!(part.file.parent(), Some(Path::new("/cache")));
                prop_assert_eq!(part.sidecar.parent(), Some(Path::new("/cache")));
            }
        }
    }
}
