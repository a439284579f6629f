//! The messages of the wire, generated from `proto/`.

use std::fmt;

use zeroize::Zeroize;

use crate::token::Secret;

/// Package `hadoop.common`: RPC's own messages, and tokens.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod common {
    include!(concat!(env!("OUT_DIR"), "/hadoop.common.rs"));
}

/// Package `hadoop.yarn`: YARN's records and calls.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod yarn {
    include!(concat!(env!("OUT_DIR"), "/hadoop.yarn.rs"));
}

impl fmt::Debug for common::TokenProto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identifier, password: _, kind, service } = self;
        f.debug_struct("TokenProto")
            .field("kind", kind)
            .field("service", service)
            .field("identifier", &format_args!("{} bytes", identifier.len()))
            .field("password", &format_args!("{}", Secret::HIDDEN))
            .finish()
    }
}

impl Drop for common::TokenProto {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl fmt::Debug for common::CredentialsKvProto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsKvProto")
            .field("alias", &self.alias)
            .field("token", &self.token)
            .field("secret", &self.secret.as_ref().map(|_| format_args!("{}", Secret::HIDDEN).to_string()))
            .finish()
    }
}

impl Drop for common::CredentialsKvProto {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}
