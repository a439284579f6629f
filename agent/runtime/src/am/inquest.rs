//! How the containers of this application's masters ended: what YARN knows of it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use kobel_conf::chain;
use kobel_hadoop_rpc::{
    Auth,
    yarn::{AttemptId, ContainerExit, ResourceManager},
};
use kobel_plan::{ClusterPlan, Death, yarn::YarnPlan};

use crate::election::Coroner;

/// How long one ResourceManager may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// Asks the ResourceManager. It knows how a container ended from the node alone, or does not know it and says so.
#[derive(Debug)]
struct Inquest {
    /// The attempt that this is.
    own: AttemptId,
    yarn: ResourceManager,
}

/// Where somebody will want to know.
pub(super) fn coroner(plan: &ClusterPlan, yarn: &YarnPlan, attempt: i32) -> Option<Arc<dyn Coroner>> {
    plan.ha.as_ref()?;
    match Inquest::new(yarn, attempt) {
        Ok(inquest) => Some(Arc::new(inquest)),
        Err(error) => {
            tracing::warn!(error, "how a master ends on another node will not be known");
            None
        }
    }
}

impl Inquest {
    fn new(yarn: &YarnPlan, attempt: i32) -> Result<Self, String> {
        let application = yarn.application_id.parse().map_err(|error| chain(&error))?;
        // As for a deputy: of what a master has, nothing shows a port for clients who it is.
        let auth = Auth::Simple { user: yarn.user.clone() };
        let yarn = ResourceManager::each_once(yarn.resource_managers.clone(), auth, DEADLINE);
        Ok(Self {
            own: AttemptId { application, number: attempt },
            yarn: yarn.map_err(|error| chain(&error))?,
        })
    }
}

#[async_trait]
impl Coroner for Inquest {
    fn here(&self) -> String {
        self.own.to_string()
    }

    /// The JobManager in it is on the leash of the master, which is what the container ran.
    async fn death(&self, container: &str) -> Option<Death> {
        let attempt = container.parse::<AttemptId>().ok().filter(|it| it.application == self.own.application);
        let Some(attempt) = attempt else { return Some(Death::Unproven) };
        let told = self.yarn.attempt_diagnostics(attempt).await;
        let told = told.inspect_err(|error| {
            tracing::warn!(%attempt, error = chain(error), "could not learn how a master ended");
        });
        Some(of(ContainerExit::of_master(attempt, &told.ok()?)))
    }
}

/// Codes are a node's own; all else is decided or guessed elsewhere.
fn of(exit: Option<ContainerExit>) -> Death {
    match exit {
        Some(ContainerExit::Code(status)) => Death::Container { status, node_alive: true },
        _ => Death::Unproven,
    }
}

#[cfg(test)]
mod tests {
    use kobel_hadoop_rpc::{
        proto::yarn as pb,
        testing::{Reply, RpcServer, ServerConfig},
    };

    use super::*;

    const FORMER: &str = "appattempt_1_0001_000001";

    /// What is learnt of the former master when the ResourceManager answers so, or is not there.
    async fn death(container: &str, diagnostics: Option<&'static str>) -> Option<Death> {
        let handler = move |_call| async move {
            let Some(diagnostics) = diagnostics else { return Reply::close() };
            let id = FORMER.parse::<AttemptId>().unwrap().into();
            let report = pb::AttemptReport { id: Some(id), diagnostics: Some(diagnostics.into()) };
            Reply::message(&pb::AttemptReportResponse { report: Some(report) })
        };
        let server = RpcServer::start(ServerConfig::default(), handler).await.unwrap();
        let auth = Auth::Simple { user: "ann".into() };
        let yarn = ResourceManager::each_once(vec![server.address().to_string()], auth, DEADLINE).unwrap();
        let inquest = Inquest { own: "appattempt_1_0001_000002".parse().unwrap(), yarn };
        assert_eq!(inquest.here(), "appattempt_1_0001_000002");
        inquest.death(container).await
    }

    #[tokio::test]
    async fn a_master_is_dead_whose_exit_its_node_told() {
        let table = [
            ("AM Container for appattempt_1_0001_000001 exited with  exitCode: 137\nFailing", Some(137)),
            ("AM Container for appattempt_1_0001_000001 exited with  exitCode: 0\nFailing", Some(0)),
            ("AM Container for appattempt_1_0001_000001 exited with  exitCode: -100\nFailing", None),
            ("AM Container for appattempt_1_0001_000001 exited with  exitCode: -104\nFailing", None),
            ("AM Container for appattempt_1_0001_000001 exited with  exitCode: 154\nFailing", None),
            ("ApplicationMaster for attempt appattempt_1_0001_000001 timed out", None),
            ("N/A", None),
        ];
        for (diagnostics, status) in table {
            let expected =
                status.map_or(Death::Unproven, |status| Death::Container { status, node_alive: true });
            assert_eq!(death(FORMER, Some(diagnostics)).await, Some(expected), "{diagnostics}");
            assert_eq!(expected.is_proven(), status.is_some());
        }
    }

    #[tokio::test]
    async fn nothing_is_learnt_from_silence_or_of_another_application() {
        assert_eq!(death(FORMER, None).await, None);
        let stranger = "appattempt_1_0002_000001";
        assert_eq!(death(stranger, None).await, Some(Death::Unproven), "without a question");
        assert_eq!(death("container_1_0001_01_000001", None).await, Some(Death::Unproven));
    }
}
