//! Hadoop RPC, version 9: calls over SIMPLE and TOKEN authentication, Hadoop's tokens and their files, and
//! YARN's protocols on top. Knows nothing of kobel.
//!
//! A [`Client`] speaks one protocol with one service, at one address or several of which one is active. It
//! connects when it has something to say, and again when the connection is gone.

mod client;
mod connection;
mod error;
#[cfg(test)]
mod fuzz;
pub mod proto;
mod retry;
mod sasl;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod token;
mod wire;
pub mod yarn;

pub use client::{Client, Config, Method, Protocol, Repeat};
pub use connection::{Auth, Call, Connection, Dial};
pub use error::{Effect, ErrorCode, Lost, RemoteException, Retry, RpcError};
pub use retry::RetryPolicy;
pub use sasl::{Protection, Qop, SaslError};
pub use token::{Credentials, Secret, Token};
pub use wire::WireError;
