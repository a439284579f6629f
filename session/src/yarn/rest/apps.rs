//! Applications over REST: submitting, watching, ending. A 202 says only that the ResourceManager has read
//! the request, and a 404 only that it does not know the application *now*: it says so too while it reads
//! its notes after a start. What a caller gets is neither, but what they came to.

use std::time::Duration;

use kobel_conf::{Category, Explain};
use kobel_hadoop_rpc::{
    Effect, Retry,
    yarn::{AppReport, AppState, ApplicationId, AttemptId, NewApplication, Resource, Submission},
};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    error::{Call, RmError},
    submission,
    transport::RmRest,
    types::{AppJson, AttemptInfo, ContainerInfo, Many},
};

/// How often an undecided state is looked at.
const POLL: Duration = Duration::from_millis(100);

/// What a ResourceManager knows of an application.
#[derive(Debug, Clone, PartialEq)]
pub enum Sighting<T> {
    /// It knows it.
    Seen(T),
    /// It does not know it, and is not yet able to tell, since it is just starting.
    NotYet,
    /// It is active, has read its notes, and does not know it: it never did, or has forgotten it.
    Gone,
}

/// An application could not be submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The ResourceManager took the request, and then not the application.
    #[error("YARN did not take {id}: {diagnostics}")]
    Refused {
        /// The application.
        id: ApplicationId,
        /// [`AppState::Failed`], or [`AppState::Killed`] by somebody.
        state: AppState,
        /// The ResourceManager's words.
        diagnostics: String,
    },
    /// The ResourceManager came to no decision in time.
    #[error("YARN has not decided on {id} within {} s", after.as_secs_f32())]
    Undecided {
        /// The application, which may run yet.
        id: ApplicationId,
        /// The time allowed.
        after: Duration,
        /// What went wrong last, if anything did.
        source: Option<RmError>,
    },
    /// The application asks for what REST has no words for.
    #[error("{what} cannot be submitted over REST")]
    NotOverRest {
        /// What it is.
        what: &'static str,
    },
    /// The ResourceManager could not be asked, or refused to listen.
    #[error("could not submit {id}")]
    Rm {
        /// The application.
        id: ApplicationId,
        /// Why not.
        source: RmError,
    },
}

impl SubmitError {
    /// Whether the application may run all the same.
    pub fn effect(&self) -> Effect {
        match self {
            SubmitError::Undecided { .. } => Effect::Unknown,
            SubmitError::Rm { source, .. } => source.effect(),
            SubmitError::Refused { .. } | SubmitError::NotOverRest { .. } => Effect::NotApplied,
        }
    }

    /// Whether submitting the same again is worth a try.
    pub fn retry(&self) -> Retry {
        match self {
            SubmitError::Undecided { .. } => Retry::Now,
            SubmitError::Rm { source, .. } => source.retry(),
            SubmitError::Refused { .. } | SubmitError::NotOverRest { .. } => Retry::Never,
        }
    }
}

impl Explain for SubmitError {
    fn category(&self) -> Category {
        match self {
            SubmitError::Refused { .. } => Category::FailedEnd,
            SubmitError::Undecided { .. } => Category::Timeout,
            SubmitError::NotOverRest { .. } => Category::Environment,
            SubmitError::Rm { source, .. } => source.category(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            SubmitError::NotOverRest { .. } => Some("set yarn.api = \"rpc\" in kobel's file".into()),
            SubmitError::Undecided { id, .. } => Some(format!("yarn application -status {id}")),
            SubmitError::Rm { source, .. } => source.hint(),
            SubmitError::Refused { .. } => None,
        }
    }
}

#[derive(Deserialize)]
struct NewApplicationJson {
    #[serde(rename = "application-id")]
    id: ApplicationId,
    #[serde(rename = "maximum-resource-capability")]
    largest: ResourceJson,
}

#[derive(Deserialize)]
struct ResourceJson {
    memory: i64,
    #[serde(rename = "vCores")]
    vcores: i32,
}

#[derive(Deserialize)]
struct StateJson {
    state: String,
}

#[derive(Deserialize)]
struct AppEnvelope {
    app: AppJson,
}

#[derive(Deserialize)]
struct AppsEnvelope {
    apps: Option<AppsJson>,
}

#[derive(Deserialize)]
struct AppsJson {
    #[serde(default)]
    app: Many<AppJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttemptsEnvelope {
    app_attempts: Option<AttemptsJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttemptsJson {
    #[serde(default)]
    app_attempt: Many<AttemptInfo>,
}

#[derive(Deserialize)]
struct ContainersJson {
    #[serde(default)]
    container: Many<ContainerInfo>,
}

impl RmRest {
    /// Has an id made for an application to submit.
    pub async fn new_application(&self) -> Result<NewApplication, RmError> {
        let call = Call::changes("get an application id");
        let path = ["apps", "new-application"];
        let answer = self.send(call.clone(), Method::POST, &path, &[], None::<&()>).await?;
        let new: NewApplicationJson = answer.read(&call)?;
        Ok(NewApplication { id: new.id, largest: Resource::new(new.largest.memory, new.largest.vcores) })
    }

    /// Submits an application and waits until the ResourceManager has decided: good means that it has taken
    /// the application, and the scheduler has. A lost reply, and a ResourceManager that forgot between
    /// reply and decision, are met by sending the same again.
    pub async fn submit(&self, submission: &Submission, within: Duration) -> Result<AppReport, SubmitError> {
        let id = submission.id;
        let body = submission::json(submission)?;
        let deadline = Instant::now() + within;
        let mut known = false;
        loop {
            match self.step(id, &body, &mut known).await {
                Ok(Some(report)) if matches!(report.state, AppState::Failed | AppState::Killed) => {
                    let AppReport { state, diagnostics, .. } = report;
                    return Err(SubmitError::Refused { id, state, diagnostics });
                }
                Ok(Some(report)) => return Ok(report),
                Err(source) if source.retry() == Retry::Never => return Err(SubmitError::Rm { id, source }),
                Err(source) if Instant::now() + POLL >= deadline => {
                    return Err(SubmitError::Undecided { id, after: within, source: Some(source) });
                }
                Ok(None) if Instant::now() + POLL >= deadline => {
                    return Err(SubmitError::Undecided { id, after: within, source: None });
                }
                Ok(None) | Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Sends the application unless the ResourceManager knows it, then looks: a report once it has decided.
    async fn step(
        &self,
        id: ApplicationId,
        body: &serde_json::Value,
        known: &mut bool,
    ) -> Result<Option<AppReport>, RmError> {
        if !*known {
            let call = Call::changes(format!("submit {id}"));
            self.send(call, Method::POST, &["apps"], &[], Some(body)).await?;
            *known = true;
        }
        match self.app(id).await {
            Ok(report) => Ok((!report.state.is_undecided()).then_some(report)),
            Err(RmError::NotFound { .. }) => {
                *known = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// How an application fares.
    pub async fn report(&self, id: ApplicationId) -> Result<Sighting<AppReport>, RmError> {
        let told = self.app(id).await;
        let Err(RmError::NotFound { .. }) = told else { return told.map(Sighting::Seen) };
        if !self.info().await?.is_active() {
            return Ok(Sighting::NotYet);
        }
        // It became active before this question, so that this answer counts.
        match self.app(id).await {
            Err(RmError::NotFound { .. }) => Ok(Sighting::Gone),
            told => told.map(Sighting::Seen),
        }
    }

    async fn app(&self, id: ApplicationId) -> Result<AppReport, RmError> {
        let call = Call::reads(format!("ask about {id}"));
        Ok(self.get::<AppEnvelope>(call, &["apps", &id.to_string()], &[]).await?.app.into())
    }

    /// The state of an application alone, which costs the ResourceManager less than a report.
    pub async fn state(&self, id: ApplicationId) -> Result<Sighting<AppState>, RmError> {
        let call = Call::reads(format!("ask for the state of {id}"));
        match self.get::<StateJson>(call, &["apps", &id.to_string(), "state"], &[]).await {
            Ok(told) => Ok(Sighting::Seen(AppState::from_name(&told.state))),
            Err(RmError::NotFound { .. }) => Ok(match self.report(id).await? {
                Sighting::Seen(report) => Sighting::Seen(report.state),
                Sighting::NotYet => Sighting::NotYet,
                Sighting::Gone => Sighting::Gone,
            }),
            Err(error) => Err(error),
        }
    }

    /// The applications of these types, users, states and tags; a part that is empty fits all.
    pub async fn apps(
        &self,
        kinds: &[&str],
        user: Option<&str>,
        states: &[AppState],
        tags: &[&str],
    ) -> Result<Vec<AppReport>, RmError> {
        let (kinds, tags) = (kinds.join(","), tags.join(","));
        let states = states.iter().map(|state| state.name()).collect::<Vec<_>>().join(",");
        let mut query = vec![("deSelects", "resourceRequests")];
        query.extend([("applicationTypes", &*kinds), ("states", &*states), ("applicationTags", &*tags)]);
        query.extend(user.map(|user| ("user", user)));
        query.retain(|(_, value)| !value.is_empty());
        let call = Call::reads("list applications");
        let apps = self.get::<AppsEnvelope>(call, &["apps"], &query).await?.apps;
        Ok(apps.into_iter().flat_map(|apps| apps.app.0).map(Into::into).collect())
    }

    /// Kills an application and waits until it is over. The answer is its last state: one that had ended by
    /// itself is not [`AppState::Killed`]. [`RmError::NotFound`] here means that it is gone for good.
    pub async fn kill(
        &self,
        id: ApplicationId,
        diagnostics: &str,
        within: Duration,
    ) -> Result<AppState, RmError> {
        let deadline = Instant::now() + within;
        loop {
            let outcome = self.try_kill(id, diagnostics).await;
            let late = Instant::now() + POLL >= deadline;
            match outcome {
                Ok(Some(state)) => return Ok(state),
                Ok(None) if late => {
                    let call = Call::changes(format!("kill {id}"));
                    return Err(RmError::Timeout { call, address: self.active().into(), after: within });
                }
                Err(error) if late || error.retry() == Retry::Never => return Err(error),
                Ok(None) | Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Asks once for the application's death: its state once it is over.
    async fn try_kill(&self, id: ApplicationId, diagnostics: &str) -> Result<Option<AppState>, RmError> {
        let call = Call::changes(format!("kill {id}"));
        let body = json!({ "state": AppState::Killed.name(), "diagnostics": diagnostics });
        let path = ["apps", &id.to_string(), "state"];
        match self.send(call.clone(), Method::PUT, &path, &[], Some(&body)).await {
            Ok(answer) => {
                let state = AppState::from_name(&answer.read::<StateJson>(&call)?.state);
                Ok((answer.status != StatusCode::ACCEPTED && state.is_over()).then_some(state))
            }
            Err(RmError::NotFound { call, message }) => match self.report(id).await? {
                Sighting::Seen(report) => Ok(report.state.is_over().then_some(report.state)),
                Sighting::NotYet => Ok(None),
                Sighting::Gone => Err(RmError::NotFound { call, message }),
            },
            Err(error) => Err(error),
        }
    }

    /// The attempts of an application, the first one first.
    pub async fn attempts(&self, id: ApplicationId) -> Result<Vec<AttemptInfo>, RmError> {
        let call = Call::reads(format!("list the attempts of {id}"));
        let path = ["apps", &id.to_string(), "appattempts"];
        let attempts = self.get::<AttemptsEnvelope>(call, &path, &[]).await?.app_attempts;
        let mut attempts = attempts.map(|attempts| attempts.app_attempt.0).unwrap_or_default();
        attempts.sort_by_key(|attempt| attempt.id);
        Ok(attempts)
    }

    /// The containers of an attempt that run.
    pub async fn containers(&self, attempt: AttemptId) -> Result<Vec<ContainerInfo>, RmError> {
        let call = Call::reads(format!("list the containers of {attempt}"));
        let id = attempt.application.to_string();
        let path = ["apps", &id, "appattempts", &attempt.to_string(), "containers"];
        Ok(self.get::<ContainersJson>(call, &path, &[]).await?.container.0)
    }
}
