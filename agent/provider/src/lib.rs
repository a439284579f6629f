//! The resource provider: where a cluster's workers come from.
//!
//! **The hard truth first.** After a partition, two live processes may hold one worker id: a node
//! that was given up for lost can come back. No provider can prevent it, so every process carries
//! an [`Attempt`], attempts only rise, and whoever hears of two takes the
//! lower one for dead and fences it.

mod capped;
pub mod contract;
mod error;
mod evicted;
pub mod exec;
mod furnish;
pub mod leash;
pub mod local;
mod words;
pub mod yarn;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture, stream::BoxStream};
use kobel_plan::{
    Attempt, Death, Exit, Fault, Phase, ProviderKind, Resources, WorkerEvent, WorkerId, WorkerSpec,
};

pub use error::ProviderError;
pub use evicted::evicted;
pub use furnish::Node;
pub use words::last_words;

/// Gets, watches and releases worker processes. The same agent runs over every implementation, and
/// [`contract`] holds them to what is said here.
///
/// The verbs converge: asking for what is already so succeeds and changes nothing, so every call
/// may be repeated after a lost reply. A failure of a *worker* is never an error of a call: it comes
/// as an event.
#[async_trait]
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// Which one this is.
    fn kind(&self) -> ProviderKind;

    /// The largest worker obtainable, so that a specification that can never be met fails before
    /// anything starts.
    async fn limits(&self) -> Result<Resources, ProviderError>;

    /// The workers that a former agent of this cluster left running, taken over. Call it before
    /// [`Provider::ensure`], whether or not anything is known of a former agent: its own records may
    /// be lost. Two attempts of one worker may be among them, when one was leaving. A process whose
    /// identity is in doubt (a reused pid) is not in the list and MUST NOT be signalled.
    async fn recover(&self) -> Result<Vec<Recovered>, ProviderError>;

    /// Makes this attempt of the worker exist. `Ok` means *recorded*, not running: the outcome comes
    /// as an event. Asking again for the same worker and attempt is a no-op.
    ///
    /// The agent MUST release an attempt, or see it exit, before it asks for the worker's next one,
    /// and MUST NOT ask for one below that: both are refused. It need not wait for the end of an
    /// attempt that it released. It MUST NOT ask again for an attempt that it asked for in a former
    /// life either, so it writes attempts down before it asks: that one may have ended in between,
    /// and no provider can be relied on to remember the dead.
    async fn ensure(&self, spec: WorkerSpec) -> Result<(), ProviderError>;

    /// Ends this attempt: SIGTERM, `grace`, SIGKILL. `Ok` when there is none. Returns when the end is
    /// under way, not when it is reached: [`Exit::Released`](kobel_plan::Exit::Released) comes as an
    /// event. Of several releases the one that ends it soonest counts.
    async fn release(&self, id: WorkerId, attempt: Attempt, grace: Duration) -> Result<(), ProviderError>;

    /// Does this to the process of this attempt, for a drill: to that one alone, as a fault would, and
    /// surely to no other. Returns when it is done; what follows comes as events.
    async fn strike(&self, id: WorkerId, attempt: Attempt, fault: Fault) -> Result<(), ProviderError>;

    /// First the present state of every worker, then each change, in order, nothing missed between
    /// the two. Each call gives a stream of its own, which ends with the provider.
    ///
    /// A worker that is gone is among the present ones until its next attempt is asked for. When
    /// [`Phase::Exited`] is told, everything of that attempt is gone but its logs: descendants and
    /// directory too. (The exit [`NodeLost`](kobel_plan::Exit::NodeLost) cannot promise that.)
    fn watch(&self) -> BoxStream<'static, WorkerEvent>;

    /// Ends, with the reason, when another agent may be in charge of the cluster: this one must let
    /// go of it, and take its own processes down. Where nobody else can be, never.
    fn fenced(&self) -> BoxFuture<'static, String> {
        std::future::pending().boxed()
    }

    /// What the exit that was told of this attempt proves: whether any thread of its process can still run.
    fn death(&self, id: WorkerId, attempt: Attempt, exit: &Exit) -> Death;

    /// Last words when the cluster is over (YARN: unregister), with why in a line. All workers have been
    /// released.
    async fn finish(&self, outcome: Outcome, reason: &str) -> Result<(), ProviderError>;
}

/// A worker found running when the agent came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Whose process it is.
    pub id: WorkerId,
    /// Which of them.
    pub attempt: Attempt,
    /// Where it stands now: it may have exited since.
    pub phase: Phase,
    /// The [`Launch::NOTE`](kobel_plan::Launch::NOTE) that it was launched with, as far as it can be
    /// read.
    pub note: Option<String>,
}

/// How the cluster ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// On request, or its job ended well.
    Succeeded,
    /// By a fault.
    Failed,
    /// Killed on request.
    Killed,
}
