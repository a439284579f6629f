//! Hadoop's tokens: what they are, how they are written, and where they lie.

mod credentials;
mod identifier;
pub mod service;
mod writable;

use std::fmt;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use prost::Message;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use credentials::{Credentials, CredentialsError};
pub use identifier::HdfsIdentifier;

use crate::proto::common::TokenProto;
use crate::wire::{self, WireError};

/// Kinds of tokens, and which service takes them.
pub mod kind {
    /// An ApplicationMaster's, for the ResourceManager's scheduler port.
    pub const AM_RM: &str = "YARN_AM_RM_TOKEN";
    /// An ApplicationMaster's, for one NodeManager.
    pub const NM: &str = "NMToken";
    /// A container's; it travels inside `startContainers`.
    pub const CONTAINER: &str = "ContainerToken";
    /// A user's, for the ResourceManager's client port.
    pub const RM_DELEGATION: &str = "RM_DELEGATION_TOKEN";
    /// A user's, for a NameNode.
    pub const HDFS_DELEGATION: &str = "HDFS_DELEGATION_TOKEN";
    /// A client's, for an ApplicationMaster.
    pub const CLIENT_TO_AM: &str = "YARN_CLIENT_TOKEN";
}

/// Bytes that are shown to nobody and wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub(crate) const HIDDEN: &str = "<redacted>";

    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}

/// Shown to a server instead of a user's own credentials.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Token {
    /// What the server signed: for whom, until when. Opaque to whom it is not of a known [`kind`].
    pub identifier: Vec<u8>,
    /// The signature: who knows it may act.
    pub password: Secret,
    /// See [`kind`].
    pub kind: String,
    /// Where its owner uses it; see [`service`]. Servers ignore it and often leave it empty.
    pub service: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("kind", &self.kind)
            .field("service", &self.service)
            .field("identifier", &format_args!("{} bytes", self.identifier.len()))
            .field("password", &self.password)
            .finish()
    }
}

/// Why something is not a token, or a file of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It ends too early.
    #[error("ends inside its {0}")]
    Short(&'static str),
    /// A length below zero, or longer than what is there.
    #[error("has an impossible length of its {0}")]
    Length(&'static str),
    /// A text is not UTF-8.
    #[error("has a {0} that is not UTF-8")]
    Text(&'static str),
    /// It does not begin with `HDTS`.
    #[error("is not a file of Hadoop tokens")]
    Magic,
    /// A version other than 0 and 1.
    #[error("is of version {0}, which is unknown")]
    Version(u8),
    /// A message in it is malformed.
    #[error("has {0}")]
    Wire(WireError),
    /// The text is not URL-safe base64.
    #[error("is not URL-safe base64")]
    Base64,
}

impl From<WireError> for TokenError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

const URL_SAFE_TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Token {
    /// The identifier as the message it is, for kinds whose identifiers are messages (all of YARN's).
    pub fn identifier_as<M: Message + Default>(&self) -> Result<M, WireError> {
        wire::decode(Bytes::copy_from_slice(&self.identifier), "token identifier")
    }

    /// As text without padding, as REST and environment variables carry it.
    pub fn to_url_string(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(Vec::new());
        self.write(&mut out);
        Zeroizing::new(URL_SAFE_TOLERANT.encode(&*out))
    }

    /// Reads what [`Token::to_url_string`] writes, padded or not.
    pub fn from_url_string(text: &str) -> Result<Self, TokenError> {
        let bytes = Zeroizing::new(URL_SAFE_TOLERANT.decode(text.trim()).map_err(|_| TokenError::Base64)?);
        Self::read(&mut writable::Reader::new(&bytes))
    }

    fn read(reader: &mut writable::Reader<'_>) -> Result<Self, TokenError> {
        Ok(Self {
            identifier: reader.bytes("identifier")?.to_vec(),
            password: Secret::new(reader.bytes("password")?.to_vec()),
            kind: reader.text("kind")?.to_owned(),
            service: reader.text("service")?.to_owned(),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        writable::put_bytes(&self.identifier, out);
        writable::put_bytes(self.password.expose(), out);
        writable::put_bytes(self.kind.as_bytes(), out);
        writable::put_bytes(self.service.as_bytes(), out);
    }
}

impl From<&Token> for TokenProto {
    fn from(token: &Token) -> Self {
        TokenProto {
            identifier: token.identifier.clone(),
            password: token.password.expose().to_vec(),
            kind: token.kind.clone(),
            service: token.service.clone(),
        }
    }
}

impl From<TokenProto> for Token {
    fn from(mut token: TokenProto) -> Self {
        Token {
            identifier: std::mem::take(&mut token.identifier),
            password: Secret::new(std::mem::take(&mut token.password)),
            kind: std::mem::take(&mut token.kind),
            service: std::mem::take(&mut token.service),
        }
    }
}

#[cfg(test)]
mod tests;
