//! Output of a process to a file that does not fill the disk.

use std::{io, path::PathBuf, time::Duration};

use tokio::{
    fs::{self, File},
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
};

/// So much in one file; the one before it is kept beside it as `.1`.
const MOST: u64 = 10 << 20;
/// How long the rest of an output may take once its process is gone.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(2);

/// Copies until the end. What cannot be written is lost: the process must not stand still for it.
pub(crate) async fn copy(mut from: impl AsyncRead + Unpin, to: PathBuf) {
    let mut sink = Sink { path: to, file: None, written: 0 };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if let Err(error) = sink.write(&buffer[..read]).await {
            tracing::warn!(file = %sink.path.display(), %error, "lost some output");
            sink.file = None;
        }
    }
}

struct Sink {
    path: PathBuf,
    file: Option<File>,
    written: u64,
}

impl Sink {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.written >= MOST {
            self.file = None;
            fs::rename(&self.path, self.path.with_added_extension("1")).await?;
            self.written = 0;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut options = fs::OpenOptions::new();
                let file = options.create(true).append(true).mode(0o600).open(&self.path).await?;
                self.written = file.metadata().await?.len();
                self.file.insert(file)
            }
        };
        file.write_all(bytes).await?;
        file.flush().await?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_output_keeps_its_end_and_no_more_than_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tm-0.1.out");
        let long = vec![b'x'; 3 * MOST as usize];
        let mut input = long.chain(&b"the end"[..]);
        copy(&mut input, path.clone()).await;
        let files = std::fs::read_dir(dir.path()).unwrap();
        let sizes: Vec<u64> = files.map(|file| file.unwrap().metadata().unwrap().len()).collect();
        assert_eq!(sizes.len(), 2);
        assert!(sizes.iter().all(|size| *size <= MOST + (16 << 10)), "{sizes:?}");
        assert!(std::fs::read(&path).unwrap().ends_with(b"the end"));
    }

    #[tokio::test]
    async fn output_goes_on_where_the_file_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.out");
        std::fs::write(&path, "before\n").unwrap();
        copy(&b"after\n"[..], path.clone()).await;
        assert_eq!(std::fs::read_to_string(path).unwrap(), "before\nafter\n");
    }
}
