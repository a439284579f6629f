//! The provider before a scripted ResourceManager and a scripted NodeManager, over the real codec.

mod end;
mod masters;
mod odd;
mod peers;
mod start;

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream::BoxStream};
use kobel_hadoop_rpc::testing::Reply;
use kobel_plan::{Attempt, Exit, Launch, Phase, Resources, WorkerEvent, WorkerId, WorkerSpec};

use peers::World;

use crate::{Outcome, Provider, ProviderError};

/// How long anything may take that is going to happen.
const DEADLINE: Duration = Duration::from_secs(20);

fn spec(index: u32) -> WorkerSpec {
    WorkerSpec {
        id: WorkerId::tm(index),
        attempt: Attempt::FIRST,
        resources: Resources { memory_bytes: 1 << 30, vcores: 1 },
        launch: Launch { program: "/bin/true".into(), args: vec![], env: BTreeMap::new() },
        files: vec![],
        deputy: None,
    }
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Waits for a condition.
async fn until(what: &str, condition: impl Fn() -> bool) {
    soon(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// The next news of this worker that is no [`Phase::Pending`].
async fn next(news: &mut BoxStream<'static, WorkerEvent>, spec: &WorkerSpec) -> Phase {
    soon("news of a worker", async {
        loop {
            let event = news.next().await.expect("the provider ended");
            if event.id == spec.id && !matches!(event.phase, Phase::Pending) {
                return event.phase;
            }
        }
    })
    .await
}

fn yarn_exception(class: &str, message: &str) -> Reply {
    Reply::exception(&format!("org.apache.hadoop.yarn.exceptions.{class}"), message)
}
