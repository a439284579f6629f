//! The server's end, for scripted peers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::cipher::Cipher;
use super::client::message;
use super::digest::{self, Exchange};
use super::directive::Directives;
use super::layer::{Layer, Side};
use super::{Qop, method};
use crate::proto::common::RpcSaslProto;
use crate::proto::common::rpc_sasl_proto::{SaslAuth, SaslState};
use crate::token::Secret;

/// The server's part in one negotiation.
pub(crate) struct Authenticator {
    nonce: String,
    offers: Vec<SaslAuth>,
    qops: Vec<Qop>,
}

/// What the server concludes.
pub(crate) enum Verdict {
    /// SIMPLE was chosen; no answer is due.
    Simple,
    /// The client knows the password. Send the proof, then protect what follows.
    Token { identifier: Vec<u8>, proof: RpcSaslProto, layer: Option<Layer> },
    /// The token is not known, or the message is none.
    Refused(&'static str),
    /// The token is known, and its password another.
    Mismatched,
}

impl Authenticator {
    /// Offers TOKEN, and SIMPLE after it where that is allowed.
    pub(crate) fn new(qops: &[Qop], ciphers: &[Cipher], simple: bool) -> Self {
        let nonce = digest::nonce().unwrap_or_else(|_| "no random numbers".to_owned());
        let list = qops.iter().map(|qop| qop.word()).collect::<Vec<_>>().join(",");
        let mut challenge =
            format!("realm=\"default\",nonce=\"{nonce}\",qop=\"{list}\",charset=utf-8,algorithm=md5-sess");
        if qops.contains(&Qop::Privacy) {
            let list = ciphers.iter().map(|cipher| cipher.word()).collect::<Vec<_>>().join(",");
            challenge.push_str(&format!(",cipher=\"{list}\""));
        }
        let offer = |(method, mechanism): (&str, &str), server_id: Option<&str>, challenge| SaslAuth {
            method: method.to_owned(),
            mechanism: mechanism.to_owned(),
            protocol: server_id.map(|_| String::new()),
            server_id: server_id.map(str::to_owned),
            challenge,
        };
        let mut offers = vec![offer(method::TOKEN, Some("default"), Some(challenge.into_bytes()))];
        if simple {
            offers.push(offer(method::SIMPLE, None, None));
        }
        Self { nonce, offers, qops: qops.to_vec() }
    }

    /// The answer to NEGOTIATE.
    pub(crate) fn offer(&self) -> RpcSaslProto {
        RpcSaslProto { auths: self.offers.clone(), ..message(SaslState::Negotiate, None) }
    }

    /// Judges INITIATE.
    pub(crate) fn judge(
        &self,
        initiate: RpcSaslProto,
        password_of: &dyn Fn(&[u8]) -> Option<Secret>,
    ) -> Verdict {
        let [chosen] = &initiate.auths[..] else {
            return Verdict::Refused("exactly one method must be chosen");
        };
        let offered =
            self.offers.iter().any(|offer| SaslAuth { challenge: None, ..offer.clone() } == *chosen);
        if initiate.state() != SaslState::Initiate || !offered {
            return Verdict::Refused("Invalid SASL initiation");
        }
        if chosen.method == method::SIMPLE.0 {
            return Verdict::Simple;
        }
        self.verify(&initiate.token.unwrap_or_default(), password_of)
            .unwrap_or(Verdict::Refused("token is expired or doesn't exist"))
    }

    fn verify(&self, token: &[u8], password_of: &dyn Fn(&[u8]) -> Option<Secret>) -> Option<Verdict> {
        let said = Directives::parse(token).ok()?;
        let qop = *self.qops.iter().find(|qop| said.required("qop") == Ok(qop.word()))?;
        let cipher = said.one("cipher").ok()?.and_then(Cipher::from_word);
        let exchange = Exchange {
            user: said.required("username").ok()?.to_owned(),
            realm: "default".to_owned(),
            nonce: self.nonce.clone(),
            cnonce: said.required("cnonce").ok()?.to_owned(),
            uri: "/default".to_owned(),
            qop,
            cipher: cipher.filter(|_| qop == Qop::Privacy),
        };
        if qop == Qop::Privacy && exchange.cipher.is_none() {
            return None;
        }
        let identifier = STANDARD.decode(&exchange.user).ok()?;
        let ha1 = exchange.ha1(&password_of(&identifier)?);
        let right = exchange.response(&ha1);
        if !bool::from(right.as_bytes().ct_eq(said.required("response").ok()?.as_bytes())) {
            return Some(Verdict::Mismatched);
        }
        let proof = format!("rspauth={}", exchange.server_response(&ha1)).into_bytes();
        let layer = Layer::new(&ha1, exchange.qop, exchange.cipher, Side::Server);
        Some(Verdict::Token { identifier, proof: message(SaslState::Success, Some(proof)), layer })
    }
}

/// A cipher by its name in DIGEST-MD5.
pub(crate) fn cipher_named(word: &str) -> Option<Cipher> {
    Cipher::from_word(word)
}
