//! How the two ends come to know each other: SIMPLE, which says a name, and TOKEN, which is DIGEST-MD5 (RFC
//! 2831) over a token's identifier and password.

mod cipher;
mod client;
mod digest;
mod directive;
mod layer;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod server;

#[cfg(test)]
pub(crate) use cipher::Cipher;
pub(crate) use client::{Handshake, Step};
pub(crate) use layer::{Layer, Opener, Sealer};

/// Why the two ends do not come to know each other, or no longer trust a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// Nothing that the server offers can be used with what this side holds.
    #[error("the server takes {offered}, for which there is no credential here")]
    NoMethod {
        /// Methods and mechanisms, as offered.
        offered: String,
    },
    /// The server does without authentication, and this side insists on its token.
    #[error("the server does not ask for the token, so it cannot prove that it is the right one")]
    NotAsked,
    /// No common quality of protection, or cipher.
    #[error("the server protects calls by {offered}, and here {wanted} is allowed")]
    NoProtection {
        /// What the server has.
        offered: String,
        /// What is allowed here.
        wanted: String,
    },
    /// A challenge that makes no sense.
    #[error("a malformed challenge: {0}")]
    Challenge(&'static str),
    /// A message out of its order.
    #[error("an unexpected SASL message {0}")]
    Unexpected(String),
    /// The server does not know the token's password.
    #[error("the server could not prove that it knows the token")]
    NotProved,
    /// A protected message that is not what its sender sealed.
    #[error("a message that does not verify: {0}")]
    Sealed(&'static str),
    /// The system has no random numbers to give.
    #[error("no random numbers from the system")]
    Random,
}

/// Quality of protection: what happens to each message once both ends are known
/// (`hadoop.rpc.protection`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qop {
    /// Nothing: `authentication`.
    Auth,
    /// A checksum with a key: `integrity`.
    Integrity,
    /// Encryption too: `privacy`.
    Privacy,
}

impl Qop {
    const ALL: [Qop; 3] = [Qop::Auth, Qop::Integrity, Qop::Privacy];

    /// DIGEST-MD5's word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::Integrity => "auth-int",
            Qop::Privacy => "auth-conf",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|qop| qop.word().eq_ignore_ascii_case(word))
    }

    /// The value of `hadoop.rpc.protection` for it.
    pub const fn configured(self) -> &'static str {
        match self {
            Qop::Auth => "authentication",
            Qop::Integrity => "integrity",
            Qop::Privacy => "privacy",
        }
    }
}

/// Which qualities of protection are allowed. Of those that the server has too, the strongest is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection(Vec<Qop>);

impl Default for Protection {
    fn default() -> Self {
        Self(Qop::ALL.to_vec())
    }
}

impl Protection {
    /// The property of Hadoop's configuration that says which are allowed.
    pub const KEY: &str = "hadoop.rpc.protection";

    /// Only these.
    pub fn only(allowed: &[Qop]) -> Self {
        Self(allowed.to_vec())
    }

    /// From the value of `hadoop.rpc.protection`, a list. `None` when a word of it is unknown, or when it is
    /// empty.
    pub fn from_configured(value: &str) -> Option<Self> {
        let qop =
            |word: &str| Qop::ALL.into_iter().find(|q| q.configured().eq_ignore_ascii_case(word.trim()));
        let allowed: Option<Vec<Qop>> = value.split(',').map(qop).collect();
        allowed.filter(|allowed| !allowed.is_empty()).map(Self)
    }

    fn strongest(&self, offered: &[Qop]) -> Result<Qop, SaslError> {
        let common = offered.iter().filter(|qop| self.0.contains(qop)).max();
        common
            .copied()
            .ok_or_else(|| SaslError::NoProtection { offered: list(offered), wanted: list(&self.0) })
    }
}

fn list(qops: &[Qop]) -> String {
    qops.iter().map(|qop| qop.configured()).collect::<Vec<_>>().join(", ")
}

/// Hadoop's names of methods and their mechanisms.
pub(crate) mod method {
    pub(crate) const TOKEN: (&str, &str) = ("TOKEN", "DIGEST-MD5");
    pub(crate) const SIMPLE: (&str, &str) = ("SIMPLE", "");
}

/// Both ends of a connection with integrity.
#[cfg(test)]
pub(crate) fn layer_pair() -> (Layer, Layer) {
    cipher_pair(None)
}

/// Both ends of a connection with privacy by this cipher, with integrity if there is none.
#[cfg(test)]
pub(crate) fn cipher_pair(cipher: Option<Cipher>) -> (Layer, Layer) {
    let ha1 = digest::HashA1::new([7; 16]);
    let qop = if cipher.is_some() { Qop::Privacy } else { Qop::Integrity };
    let end = |side| Layer::new(&ha1, qop, cipher, side).expect("both have a layer");
    (end(layer::Side::Client), end(layer::Side::Server))
}
