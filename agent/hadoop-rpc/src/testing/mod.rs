//! Scripted servers over the real codec, with the real authentication, for tests.

mod reply;
mod server;
mod session;

use std::collections::HashMap;

pub use reply::Reply;
pub use server::{Handler, Incoming, RpcServer, ServerConfig};

use crate::token::{Secret, Token};

/// Who has which password, by a token's identifier.
pub type Passwords = HashMap<Vec<u8>, Secret>;

/// The bytes of a text in hexadecimal; what is not stays out.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A token of an ApplicationMaster, with a password that is none.
pub fn vector_token() -> Token {
    Token {
        identifier: unhex("0a0d0a09080310d7dfebcc9f34100110c6cdbabc07"),
        password: Secret::new((0..20).collect()),
        kind: crate::token::kind::AM_RM.to_owned(),
        service: String::new(),
    }
}
