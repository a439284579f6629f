//! Files of tokens and secrets, as YARN puts one into every container.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use zeroize::Zeroizing;

use super::writable::{Reader, put_bytes, put_number};
use super::{Secret, Token, TokenError};
use crate::proto::common::{CredentialsKvProto, CredentialsProto, TokenProto};
use crate::wire;

/// Tokens and secrets by alias, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// An alias is mostly the token's service, and need not be unique: YARN leaves it empty.
    pub tokens: Vec<(String, Token)>,
    /// Other secrets, such as the key store of an ApplicationMaster.
    pub secrets: Vec<(String, Secret)>,
}

/// A file of tokens that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The system says so.
    #[error("cannot read the token file {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is too long to be one.
    #[error("the token file {path} is larger than {limit} bytes")]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// What is read at most.
        limit: u64,
    },
    /// It is not what it should be.
    #[error("the token file {path} {reason}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong; completes a sentence.
        reason: TokenError,
    },
}

const MAGIC: &[u8; 4] = b"HDTS";
const WRITABLE: u8 = 0;
const PROTOBUF: u8 = 1;

impl Credentials {
    /// No file of tokens comes near this: a token has some hundred bytes.
    const MAX_FILE: u64 = 16 << 20;

    /// Reads a file, such as the one `HADOOP_TOKEN_FILE_LOCATION` names.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let failed = |source| CredentialsError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut bytes = Zeroizing::new(Vec::new());
        io::Read::read_to_end(&mut io::Read::take(file, Self::MAX_FILE + 1), &mut bytes).map_err(failed)?;
        if bytes.len() as u64 > Self::MAX_FILE {
            return Err(CredentialsError::TooLong { path: path.to_owned(), limit: Self::MAX_FILE });
        }
        Self::parse(&bytes).map_err(|reason| CredentialsError::Malformed { path: path.to_owned(), reason })
    }

    /// Reads a file's content, of either version. What follows the last secret is ignored: REST pads.
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenError> {
        let mut reader = Reader::new(bytes);
        if reader.take(4, "magic").map_err(|_| TokenError::Magic)? != MAGIC {
            return Err(TokenError::Magic);
        }
        match reader.byte("version")? {
            WRITABLE => Self::parse_writable(&mut reader),
            PROTOBUF => Self::parse_protobuf(reader.rest()),
            other => Err(TokenError::Version(other)),
        }
    }

    fn parse_writable(reader: &mut Reader<'_>) -> Result<Self, TokenError> {
        let mut credentials = Self::default();
        for _ in 0..reader.length("count of tokens")? {
            let alias = reader.text("alias")?.to_owned();
            credentials.tokens.push((alias, Token::read(reader)?));
        }
        for _ in 0..reader.length("count of secrets")? {
            let alias = reader.text("alias")?.to_owned();
            credentials.secrets.push((alias, Secret::new(reader.bytes("secret")?.to_vec())));
        }
        Ok(credentials)
    }

    fn parse_protobuf(bytes: &[u8]) -> Result<Self, TokenError> {
        let mut bytes = Bytes::copy_from_slice(bytes);
        let mut message: CredentialsProto = wire::take(&mut bytes, "credentials")?;
        let token = |kv: &mut CredentialsKvProto| {
            let token = kv.token.take().map(Token::from).unwrap_or_default();
            (std::mem::take(&mut kv.alias), token)
        };
        let secret = |kv: &mut CredentialsKvProto| {
            (std::mem::take(&mut kv.alias), Secret::new(kv.secret.take().unwrap_or_default()))
        };
        Ok(Self {
            tokens: message.tokens.iter_mut().map(token).collect(),
            secrets: message.secrets.iter_mut().map(secret).collect(),
        })
    }

    /// A file's content, of version 0, which every Hadoop reads.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(MAGIC.to_vec());
        out.push(WRITABLE);
        put_number(self.tokens.len() as i64, &mut out);
        for (alias, token) in &self.tokens {
            put_bytes(alias.as_bytes(), &mut out);
            token.write(&mut out);
        }
        put_number(self.secrets.len() as i64, &mut out);
        for (alias, secret) in &self.secrets {
            put_bytes(alias.as_bytes(), &mut out);
            put_bytes(secret.expose(), &mut out);
        }
        out
    }

    /// A file's content, of version 1, which Hadoop reads since 3.0.
    pub fn to_protobuf_bytes(&self) -> Zeroizing<Vec<u8>> {
        let entry = |alias: &String, token: Option<&Token>, secret: Option<&Secret>| CredentialsKvProto {
            alias: alias.clone(),
            token: token.map(TokenProto::from),
            secret: secret.map(|secret| secret.expose().to_vec()),
        };
        let message = CredentialsProto {
            tokens: self.tokens.iter().map(|(alias, token)| entry(alias, Some(token), None)).collect(),
            secrets: self.secrets.iter().map(|(alias, secret)| entry(alias, None, Some(secret))).collect(),
        };
        let mut out = Zeroizing::new(MAGIC.to_vec());
        out.push(PROTOBUF);
        out.extend_from_slice(&Zeroizing::new(prost::Message::encode_length_delimited_to_vec(&message)));
        out
    }

    /// The first token of a kind. An ApplicationMaster finds its own by kind alone.
    pub fn token_of_kind(&self, kind: &str) -> Option<&Token> {
        self.tokens.iter().map(|(_, token)| token).find(|token| token.kind == kind)
    }

    /// The first token of a kind whose service contains this one, as a ResourceManager with standbys has them
    /// all in one.
    pub fn token_for(&self, kind: &str, service: &str) -> Option<&Token> {
        let fits = |token: &&Token| token.kind == kind && token.service.split(',').any(|one| one == service);
        self.tokens.iter().map(|(_, token)| token).find(fits)
    }

    /// A copy without the tokens of a kind: workers must not get the ApplicationMaster's.
    pub fn without_kind(&self, kind: &str) -> Self {
        let mut copy = self.clone();
        copy.tokens.retain(|(_, token)| token.kind != kind);
        copy
    }

    /// A secret by its alias.
    pub fn secret(&self, alias: &str) -> Option<&Secret> {
        self.secrets.iter().find(|(name, _)| name == alias).map(|(_, secret)| secret)
    }
}
