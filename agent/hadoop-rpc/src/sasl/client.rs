//! The client's end of the negotiation. It only decides: messages in, messages out.

use subtle::ConstantTimeEq;

use super::digest::{self, Challenge, Exchange, HashA1};
use super::directive::Directives;
use super::layer::{Layer, Side};
use super::{Protection, SaslError, method};
use crate::connection::Auth;
use crate::proto::common::RpcSaslProto;
use crate::proto::common::rpc_sasl_proto::{SaslAuth, SaslState};
use crate::token::Token;

/// A negotiation on its way.
pub(crate) struct Handshake<'a> {
    user: Option<&'a str>,
    token: Option<&'a Token>,
    protection: &'a Protection,
    state: State,
}

enum State {
    /// NEGOTIATE was sent.
    Asked,
    /// TOKEN was chosen, but the server had no challenge in its offer.
    Chosen(SaslAuth),
    /// The proof was sent; the server's is due.
    Proved(Exchange, HashA1),
    Over,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send this and wait for the answer.
    Send(RpcSaslProto),
    /// Send this; no answer comes. The user goes by this name.
    SendLast(RpcSaslProto, String),
    /// The server is known to be the right one, and knows the user by the token.
    Known(Option<Layer>),
    /// The server does without; the user goes by this name.
    Unasked(String),
}

impl<'a> Handshake<'a> {
    /// `None` when this way to authenticate does without SASL.
    pub(crate) fn new(auth: &'a Auth, protection: &'a Protection) -> Option<Self> {
        let (user, token) = match auth {
            Auth::Simple { .. } => return None,
            Auth::Token(token) => (None, Some(token)),
            Auth::Negotiate { user, token } => (Some(user.as_str()), token.as_ref()),
        };
        Some(Self { user, token, protection, state: State::Asked })
    }

    /// The first message.
    pub(crate) fn begin() -> RpcSaslProto {
        message(SaslState::Negotiate, None)
    }

    /// Takes the server's next message.
    pub(crate) fn take(&mut self, received: RpcSaslProto) -> Result<Step, SaslError> {
        let state = std::mem::replace(&mut self.state, State::Over);
        match (state, received.state()) {
            (State::Asked, SaslState::Negotiate) => self.choose(&received.auths),
            (State::Asked, SaslState::Success) if received.auths.is_empty() => {
                self.user.map(|user| Step::Unasked(user.to_owned())).ok_or(SaslError::NotAsked)
            }
            (State::Chosen(chosen), SaslState::Challenge) => {
                let challenge = received.token.unwrap_or_default();
                let answer = self.prove(&challenge, &chosen)?;
                Ok(Step::Send(message(SaslState::Response, Some(answer))))
            }
            (State::Proved(exchange, ha1), SaslState::Success) => {
                verify(&exchange, &ha1, &received.token.unwrap_or_default())?;
                Ok(Step::Known(Layer::new(&ha1, exchange.qop, exchange.cipher, Side::Client)))
            }
            (_, state) => Err(SaslError::Unexpected(state.as_str_name().to_owned())),
        }
    }

    /// The first of the server's offers for which there is a credential.
    fn choose(&mut self, offers: &[SaslAuth]) -> Result<Step, SaslError> {
        let known = offers.iter().find_map(|offer| match (offer.method.as_str(), offer.mechanism.as_str()) {
            method::TOKEN if self.token.is_some() => Some((offer, None)),
            method::SIMPLE => self.user.map(|user| (offer, Some(user))),
            _ => None,
        });
        let Some((offer, simple)) = known else {
            let words = offers.iter().map(|o| format!("{}/{}", o.method, o.mechanism));
            let offered = words.map(|w| w.trim_end_matches('/').to_owned()).collect::<Vec<_>>().join(", ");
            return Err(SaslError::NoMethod { offered });
        };
        // The server compares the choice with its offer, the challenge aside.
        let chosen = SaslAuth { challenge: None, ..offer.clone() };
        let mut initiate = message(SaslState::Initiate, None);
        initiate.auths.push(chosen.clone());
        if let Some(user) = simple {
            return Ok(Step::SendLast(initiate, user.to_owned()));
        }
        match &offer.challenge {
            Some(challenge) => initiate.token = Some(self.prove(challenge, &chosen)?),
            None => self.state = State::Chosen(chosen),
        }
        Ok(Step::Send(initiate))
    }

    fn prove(&mut self, challenge: &[u8], chosen: &SaslAuth) -> Result<Vec<u8>, SaslError> {
        let token = self.token.ok_or(SaslError::NotAsked)?;
        let challenge = Challenge::parse(challenge)?;
        let (qop, cipher) = challenge.choose(self.protection)?;
        let exchange = Exchange {
            user: digest::user_of(token),
            realm: challenge.realm,
            nonce: challenge.nonce,
            cnonce: digest::nonce()?,
            uri: format!("{}/{}", chosen.protocol(), chosen.server_id()),
            qop,
            cipher,
        };
        let ha1 = exchange.ha1(&token.password);
        let answer = exchange.message(&ha1).into_bytes();
        self.state = State::Proved(exchange, ha1);
        Ok(answer)
    }
}

fn verify(exchange: &Exchange, ha1: &HashA1, token: &[u8]) -> Result<(), SaslError> {
    let directives = Directives::parse(token)?;
    let theirs = directives.one("rspauth")?.ok_or(SaslError::NotProved)?;
    let ours = exchange.server_response(ha1);
    if bool::from(ours.as_bytes().ct_eq(theirs.as_bytes())) { Ok(()) } else { Err(SaslError::NotProved) }
}

pub(crate) fn message(state: SaslState, token: Option<Vec<u8>>) -> RpcSaslProto {
    RpcSaslProto { version: None, state: state.into(), token, auths: Vec::new() }
}

#[cfg(test)]
mod tests;
