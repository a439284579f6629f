//! What the task hears: from who asks it, and of what it has had done.

use std::time::Duration;

use kobel_hadoop_rpc::yarn::{
    Allocated, ContainerId, LocalResource, MasterError, NodeStatus, Registered, Scheduler,
};
use kobel_plan::{WorkerEvent, WorkerSpec};
use tokio::sync::{mpsc, oneshot};

use super::Key;
use crate::{
    Outcome, ProviderError,
    yarn::errand::{Errand, Reply},
};

/// What the task may be asked for.
#[derive(Debug)]
pub(in crate::yarn) enum Ask {
    /// [`crate::Provider::ensure`].
    Ensure(Box<WorkerSpec>, oneshot::Sender<Result<(), ProviderError>>),
    /// [`crate::Provider::release`].
    Release(Key, Duration, oneshot::Sender<()>),
    /// [`crate::Provider::strike`].
    Kill(Key, oneshot::Sender<Result<(), ProviderError>>),
    /// [`crate::Provider::watch`].
    Watch(mpsc::UnboundedSender<WorkerEvent>),
    /// [`crate::yarn::YarnProvider::errand`].
    Errand(Errand, Reply),
    /// [`crate::Provider::finish`].
    Finish(Outcome, String, oneshot::Sender<Result<(), ProviderError>>),
}

/// What was done beside the task.
pub(in crate::yarn) enum Step {
    Beat(Box<Scheduler>, Result<Allocated, MasterError>),
    Registered(Box<Scheduler>, Result<Registered, MasterError>),
    Shipped(Key, Result<LocalResource, String>),
    Started(Key, Result<(), String>),
    /// Whether the node stopped it.
    Stopped(ContainerId, bool),
    Discarded,
    /// Or not: who asked for it was told.
    Killed,
    /// What the node says of it, if it does.
    Looked(ContainerId, Option<NodeStatus>),
    ErrandStarted(Result<(), String>),
}
