//! Jars: upload, list, run, delete.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::TryStreamExt;
use kobel_plan::JobId;
use reqwest::{
    Body, Method,
    multipart::{Form, Part},
};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use super::{
    error::{Call, RestError},
    jobs::Nothing,
    transport::{FlinkRest, PROMPT},
    types::{Jar, JarId, RunRequest},
};

/// The slowest upload that is waited for, in bytes a second.
const SLOWEST_UPLOAD: u64 = 1 << 20;

impl FlinkRest {
    /// Uploads a jar, read from the file as it is sent; `sent` counts the bytes meanwhile. Flink
    /// checks only that its name ends in `.jar`; whether it is one shows when it is run.
    pub async fn upload_jar(&self, file: &Path, sent: Arc<AtomicU64>) -> Result<JarId, RestError> {
        #[derive(Deserialize)]
        struct Answer {
            filename: String,
        }
        let call = Call::changes(format!("upload {}", file.display()));
        let unreadable =
            |source| RestError::File { call: call.clone(), file: file.display().to_string(), source };
        let source = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let length = source.metadata().await.map_err(unreadable)?.len();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let chunks = ReaderStream::new(source).inspect_ok(move |chunk| {
            sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        });
        let part = Part::stream_with_length(Body::wrap_stream(chunks), length).file_name(name);
        let form = Form::new().part("jarfile", part);
        let deadline = PROMPT + Duration::from_secs(length / SLOWEST_UPLOAD);
        let request = self.request(Method::POST, &["jars", "upload"]).multipart(form);
        let answer: Answer = self.send(call, request, deadline).await?;
        // Flink names the file by its path at the JobManager; the id is the last part.
        Ok(JarId(answer.filename.rsplit('/').next().unwrap_or_default().into()))
    }

    /// The jars that lie at the JobManager.
    pub async fn jars(&self) -> Result<Vec<Jar>, RestError> {
        #[derive(Deserialize)]
        struct Answer {
            files: Vec<Jar>,
        }
        let answer: Answer = self.get(Call::reads("list the jars"), &["jars"]).await?;
        Ok(answer.files)
    }

    /// Deletes a jar.
    pub async fn delete_jar(&self, jar: &JarId) -> Result<(), RestError> {
        let request = self.request(Method::DELETE, &["jars", &jar.0]);
        let _: Nothing = self.send(Call::changes(format!("delete jar {}", jar.0)), request, PROMPT).await?;
        Ok(())
    }

    /// Runs a program: its `main` runs inside the JobManager, and the answer comes when `main` has
    /// submitted its job and returned, at the latest after `deadline`. A refusal does not mean that
    /// no job runs ([`RestError::effect`] is `Unknown`): ask for the job by the id sent.
    pub async fn run_jar(
        &self,
        jar: &JarId,
        run: &RunRequest,
        deadline: Duration,
    ) -> Result<JobId, RestError> {
        #[derive(Deserialize)]
        struct Answer {
            jobid: JobId,
        }
        let request = self.request(Method::POST, &["jars", &jar.0, "run"]).json(run);
        let answer: Answer = self.send(Call::runs(format!("run {}", jar.0)), request, deadline).await?;
        Ok(answer.jobid)
    }

    /// The plan of a program's job, as JSON: its `main` runs inside the JobManager, up to where it would submit
    /// the job.
    pub async fn plan_jar(
        &self,
        jar: &JarId,
        run: &RunRequest,
        deadline: Duration,
    ) -> Result<serde_json::Value, RestError> {
        #[derive(Deserialize)]
        struct Answer {
            plan: serde_json::Value,
        }
        let request = self.request(Method::POST, &["jars", &jar.0, "plan"]).json(run);
        let answer: Answer = self.send(Call::reads(format!("plan {}", jar.0)), request, deadline).await?;
        Ok(answer.plan)
    }
}
