//! The task that owns a connection's socket.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::open::Opened;
use super::{Dial, Inbound, Outbound};
use crate::error::{ErrorCode, Lost, RemoteException, RpcError};
use crate::proto::common::rpc_response_header_proto::RpcStatusProto;
use crate::proto::common::{RpcRequestHeaderProto, RpcResponseHeaderProto};
use crate::wire::{self, ClientId, WireError};

/// A call on its way to the task.
pub(super) struct Pending {
    pub(super) id: i32,
    pub(super) method: &'static str,
    pub(super) frame: Bytes,
    pub(super) deadline: Instant,
    pub(super) allowed: Duration,
    pub(super) answer: oneshot::Sender<Result<Bytes, RpcError>>,
}

/// A call that waits for its answer.
struct Waiting {
    method: &'static str,
    /// The number of its last byte.
    end: u64,
    deadline: Instant,
    allowed: Duration,
    answer: oneshot::Sender<Result<Bytes, RpcError>>,
}

/// While this much is still to be written, no more calls are taken.
const HIGH_WATER: usize = 1 << 20;
/// Room for at least this much is made before reading.
const READ_SIZE: usize = 8 << 10;

pub(super) struct Driver {
    address: Arc<str>,
    client_id: ClientId,
    ping_interval: Duration,
    idle_close: Duration,
    tcp: TcpStream,
    inbound: Inbound,
    outbound: Outbound<RpcRequestHeaderProto>,
    queue: mpsc::Receiver<Pending>,
    /// Tells callers that come too late how it ended.
    ended: Arc<OnceLock<End>>,
    waiting: HashMap<i32, Waiting>,
    /// The deadlines of those that wait, the first one first.
    deadlines: BTreeSet<(Instant, i32)>,
    /// When a call, a ping or anything from the server last went through.
    stirred: Instant,
}

/// How a connection ended.
#[derive(Debug, Clone)]
pub(super) enum End {
    Idle,
    Lost(Lost),
    Refused(RemoteException),
}

impl From<Lost> for End {
    fn from(lost: Lost) -> Self {
        End::Lost(lost)
    }
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        End::Lost(Lost::Wire(error))
    }
}

fn io(error: std::io::Error) -> End {
    End::Lost(Lost::Io(Arc::new(error)))
}

impl Driver {
    pub(super) fn new(
        address: Arc<str>,
        client_id: ClientId,
        dial: &Dial,
        opened: Opened,
        queue: mpsc::Receiver<Pending>,
        ended: Arc<OnceLock<End>>,
    ) -> Self {
        Self {
            address,
            client_id,
            ping_interval: dial.ping_interval,
            idle_close: dial.idle_close,
            tcp: opened.tcp,
            inbound: opened.inbound,
            outbound: opened.outbound,
            queue,
            ended,
            waiting: HashMap::new(),
            deadlines: BTreeSet::new(),
            stirred: Instant::now(),
        }
    }

    pub(super) async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        let _ = self.ended.set(end.clone());
        // Callers that come now must not wait for a task that is gone.
        self.queue.close();
        self.fail_all(&end).await;
    }

    /// Waits for the next thing to happen, and deals with it.
    async fn turn(&mut self) -> Result<(), End> {
        self.inbound.buffer().reserve(READ_SIZE);
        let timer = self.timer();
        let (mut reader, mut writer) = self.tcp.split();
        let room = self.outbound.buffer.len() < HIGH_WATER;
        tokio::select! {
            call = self.queue.recv(), if room => match call {
                Some(call) => self.take(call),
                None => Err(Lost::Here.into()),
            },
            read = reader.read_buf(self.inbound.buffer()) => match read.map_err(io)? {
                0 => Err(Lost::Closed.into()),
                _ => self.received(),
            },
            written = writer.write_buf(&mut self.outbound.buffer), if !self.outbound.buffer.is_empty() => {
                self.outbound.wrote(written.map_err(io)?);
                self.outbound.tidy();
                Ok(())
            }
            () = sleep_until(timer) => self.tick(),
        }
    }

    /// When something is due next if nothing happens.
    fn timer(&self) -> Instant {
        match self.deadlines.first() {
            Some((deadline, _)) => (*deadline).min(self.stirred + self.ping_interval),
            None => self.stirred + self.idle_close,
        }
    }

    fn take(&mut self, call: Pending) -> Result<(), End> {
        // Whoever waited for it may have gone while it was queued.
        if call.answer.is_closed() {
            return Ok(());
        }
        let end = self.outbound.push(&call.frame).map_err(Lost::Sasl)?;
        let Pending { id, method, frame: _, deadline, allowed, answer } = call;
        self.deadlines.insert((deadline, id));
        self.waiting.insert(id, Waiting { method, end, deadline, allowed, answer });
        self.stirred = Instant::now();
        Ok(())
    }

    fn tick(&mut self) -> Result<(), End> {
        let now = Instant::now();
        while let Some((deadline, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(deadline, id));
            if let Some(late) = self.waiting.remove(&id) {
                let (sent, address) = (self.outbound.sent(late.end), self.address.to_string());
                let Waiting { method, allowed: after, answer, .. } = late;
                let _ = answer.send(Err(RpcError::Deadline { method, address, sent, after }));
                self.stirred = now;
                // What was told not to have been sent must not go out later.
                if !sent {
                    return Err(Lost::Here.into());
                }
            }
        }
        if self.waiting.is_empty() && now >= self.stirred + self.idle_close {
            return Err(End::Idle);
        }
        if !self.waiting.is_empty() && now >= self.stirred + self.ping_interval {
            self.outbound.push(&wire::ping(&self.client_id)).map_err(Lost::Sasl)?;
            self.stirred = now;
        }
        Ok(())
    }

    fn received(&mut self) -> Result<(), End> {
        self.stirred = Instant::now();
        while let Some(frame) = self.inbound.next()? {
            self.response(frame)?;
        }
        Ok(())
    }

    fn response(&mut self, mut frame: Bytes) -> Result<(), End> {
        let header: RpcResponseHeaderProto = wire::take(&mut frame, "response header")?;
        let status = RpcStatusProto::try_from(header.status)
            .map_err(|_| WireError::Unexpected(format!("status {}", header.status)))?;
        // Ids below zero come as their unsigned twins.
        let id = header.call_id as i32;
        let waiting = self.waiting.remove(&id);
        if let Some(waiting) = &waiting {
            self.deadlines.remove(&(waiting.deadline, id));
        }
        if status == RpcStatusProto::Success {
            // An answer to nobody is one that came after its deadline.
            let Some(waiting) = waiting else { return Ok(()) };
            // The message is the last part; a response without one is malformed.
            let answer = wire::take_part(&mut frame, "response").map_err(|source| RpcError::Reply {
                method: waiting.method,
                address: self.address.to_string(),
                source,
            });
            let _ = waiting.answer.send(answer);
            return Ok(());
        }
        let exception = RemoteException::from(header);
        if let Some(Waiting { method, answer, .. }) = waiting {
            let (address, exception) = (self.address.to_string(), exception.clone());
            let _ = answer.send(Err(RpcError::Remote { method, address, exception }));
        }
        match (status, exception.code) {
            (RpcStatusProto::Fatal, Some(ErrorCode::FatalUnauthorized | ErrorCode::FatalVersionMismatch)) => {
                Err(End::Refused(exception))
            }
            (RpcStatusProto::Fatal, _) => Err(Lost::Fatal(exception).into()),
            _ => Ok(()),
        }
    }

    async fn fail_all(mut self, end: &End) {
        while let Some(call) = self.queue.recv().await {
            let failure = end.failure(&self.address, call.method, false);
            let _ = call.answer.send(Err(failure));
        }
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            let failure = end.failure(&self.address, waiting.method, self.outbound.sent(waiting.end));
            let _ = waiting.answer.send(Err(failure));
        }
        match end {
            End::Idle | End::Lost(Lost::Here) => {
                tracing::trace!(address = %self.address, "connection closed")
            }
            End::Lost(lost) => tracing::debug!(address = %self.address, error = %lost, "connection lost"),
            End::Refused(why) => tracing::debug!(address = %self.address, error = %why, "connection refused"),
        }
    }
}

impl End {
    /// What it means to a call.
    pub(super) fn failure(&self, address: &str, method: &'static str, sent: bool) -> RpcError {
        let address = address.to_owned();
        match self {
            End::Refused(exception) => RpcError::Refused { address, exception: exception.clone() },
            End::Lost(source) => RpcError::Lost { method, address, sent, source: source.clone() },
            End::Idle => RpcError::Lost { method, address, sent, source: Lost::Here },
        }
    }
}
