//! Applications over REST: submitting, watching, ending. A 202 says only that the ResourceManager has read
//! the request, and a 404 only that it does not know the application *now*: it says so too while it reads
//! its notes after a start.

use async_trait::async_trait;
use kobel_conf::settings::YarnApi;
use kobel_hadoop_rpc::yarn::{
    AppReport, AppState, ApplicationId, AttemptId, NewApplication, NodeReport, Resource, Submission,
};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{
    submission,
    transport::RmRest,
    types::{AppJson, AttemptInfo, ContainerInfo, Many},
};
use crate::yarn::manager::{Call, Manager, QueueUse, RmError, Sighting, SubmitError};

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

#[async_trait]
impl Manager for RmRest {
    fn way(&self) -> YarnApi {
        YarnApi::Rest
    }

    fn active(&self) -> String {
        self.address().into()
    }

    async fn new_application(&self) -> Result<NewApplication, RmError> {
        let call = Call::changes("get an application id");
        let path = ["apps", "new-application"];
        let answer = self.send(call.clone(), Method::POST, &path, &[], None::<&()>).await?;
        let new: NewApplicationJson = answer.read(&call)?;
        Ok(NewApplication { id: new.id, largest: Resource::new(new.largest.memory, new.largest.vcores) })
    }

    async fn hand_in(&self, submission: &Submission) -> Result<(), SubmitError> {
        let id = submission.id;
        let body = submission::json(submission)?;
        let call = Call::changes(format!("submit {id}"));
        let sent = self.send(call, Method::POST, &["apps"], &[], Some(&body)).await;
        sent.map(drop).map_err(|source| SubmitError::Rm { id, source })
    }

    async fn app(&self, id: ApplicationId) -> Result<AppReport, RmError> {
        let call = Call::reads(format!("ask about {id}"));
        Ok(self.get::<AppEnvelope>(call, &["apps", &id.to_string()], &[]).await?.app.into())
    }

    async fn report(&self, id: ApplicationId) -> Result<Sighting<AppReport>, RmError> {
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

    async fn ask_to_die(&self, id: ApplicationId, words: &str) -> Result<Option<AppState>, RmError> {
        let call = Call::changes(format!("kill {id}"));
        let body = json!({ "state": AppState::Killed.name(), "diagnostics": words });
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

    async fn started_ms(&self) -> Result<i64, RmError> {
        Ok(self.info().await?.started_on)
    }

    async fn nodes(&self) -> Result<Vec<NodeReport>, RmError> {
        self.all_nodes().await
    }

    async fn queues(&self) -> Result<Vec<QueueUse>, RmError> {
        self.leaf_queues().await
    }

    async fn containers(&self, attempt: AttemptId) -> Result<Vec<ContainerInfo>, RmError> {
        let call = Call::reads(format!("list the containers of {attempt}"));
        let id = attempt.application.to_string();
        let path = ["apps", &id, "appattempts", &attempt.to_string(), "containers"];
        Ok(self.get::<ContainersJson>(call, &path, &[]).await?.container.0)
    }
}

impl RmRest {
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

    /// The attempts of an application, the first one first.
    pub async fn attempts(&self, id: ApplicationId) -> Result<Vec<AttemptInfo>, RmError> {
        let call = Call::reads(format!("list the attempts of {id}"));
        let path = ["apps", &id.to_string(), "appattempts"];
        let attempts = self.get::<AttemptsEnvelope>(call, &path, &[]).await?.app_attempts;
        let mut attempts = attempts.map(|attempts| attempts.app_attempt.0).unwrap_or_default();
        attempts.sort_by_key(|attempt| attempt.id);
        Ok(attempts)
    }
}
