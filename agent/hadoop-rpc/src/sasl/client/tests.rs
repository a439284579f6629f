use proptest::prelude::*;

use super::*;
use crate::sasl::Qop;
use crate::sasl::cipher::Cipher;
use crate::sasl::server::{Authenticator, Verdict};
use crate::testing::vector_token;
use crate::token::Secret;

fn auth() -> Auth {
    Auth::Token(vector_token())
}

fn handshake<'a>(auth: &'a Auth, protection: &'a Protection) -> Handshake<'a> {
    Handshake::new(auth, protection).unwrap()
}

fn offer() -> RpcSaslProto {
    Authenticator::new(&[Qop::Auth, Qop::Privacy], &Cipher::ALL, false).offer()
}

#[test]
fn both_ends_meet_and_the_challenge_is_not_sent_back() {
    let (auth, protection) = (auth(), Protection::default());
    let mut client = handshake(&auth, &protection);
    let server = Authenticator::new(&[Qop::Auth, Qop::Privacy], &Cipher::ALL, true);
    let Step::Send(initiate) = client.take(server.offer()).unwrap() else { panic!("no answer") };
    assert_eq!(initiate.state(), SaslState::Initiate);
    assert_eq!(initiate.auths[0].challenge, None);
    let said = String::from_utf8(initiate.token.clone().unwrap()).unwrap();
    assert!(said.contains(r#",digest-uri="/default",maxbuf=65536,response="#), "{said}");
    assert!(said.ends_with(r#",qop=auth-conf,cipher="3des""#), "{said}");
    let verdict = server.judge(initiate, &|_| Some(vector_token().password));
    let Verdict::Token { identifier, proof, layer: Some(mut theirs) } = verdict else { panic!("refused") };
    assert_eq!(identifier, vector_token().identifier);
    let Step::Known(Some(mut ours)) = client.take(proof).unwrap() else { panic!("not known") };
    let sealed = ours.seal.seal(b"hello").unwrap();
    assert_eq!(theirs.open.open(&sealed).unwrap(), b"hello");
}

#[test]
fn a_server_without_a_challenge_in_its_offer_is_answered_when_it_comes() {
    let (auth, protection) = (auth(), Protection::default());
    let mut client = handshake(&auth, &protection);
    let mut offer = offer();
    let challenge = offer.auths[0].challenge.take();
    let Step::Send(initiate) = client.take(offer).unwrap() else { panic!("no answer") };
    assert_eq!((initiate.state(), initiate.token), (SaslState::Initiate, None));
    let step = client.take(message(SaslState::Challenge, challenge)).unwrap();
    let Step::Send(response) = step else { panic!("no answer") };
    assert_eq!(response.state(), SaslState::Response);
    assert!(response.token.is_some());
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_trusted() {
    let (auth, protection) = (auth(), Protection::default());
    for proof in [
        None,
        Some(b"rspauth=00000000000000000000000000000000".to_vec()),
        Some(b"error=x".to_vec()),
        Some(b"rspauth=".to_vec()),
    ] {
        let mut client = handshake(&auth, &protection);
        client.take(offer()).unwrap();
        assert!(client.take(message(SaslState::Success, proof.clone())).is_err(), "{proof:?}");
    }
}

#[test]
fn a_token_is_not_traded_for_a_name() {
    let (auth, protection) = (auth(), Protection::default());
    let unasked = handshake(&auth, &protection).take(message(SaslState::Success, None)).unwrap_err();
    assert_eq!(unasked, SaslError::NotAsked);
    let mut simple_only = offer();
    simple_only.auths[0] = SaslAuth { method: "SIMPLE".to_owned(), ..SaslAuth::default() };
    simple_only.auths.push(SaslAuth {
        method: "KERBEROS".to_owned(),
        mechanism: "GSSAPI".to_owned(),
        ..SaslAuth::default()
    });
    let error = handshake(&auth, &protection).take(simple_only).unwrap_err();
    assert_eq!(error, SaslError::NoMethod { offered: "SIMPLE, KERBEROS/GSSAPI".to_owned() });
}

#[test]
fn a_name_will_do_where_the_server_does_not_ask() {
    let auth = Auth::Negotiate { user: "alice".to_owned(), token: Some(vector_token()) };
    let protection = Protection::default();
    let step = handshake(&auth, &protection).take(message(SaslState::Success, None)).unwrap();
    assert!(matches!(step, Step::Unasked(user) if user == "alice"));
}

#[test]
fn the_server_refuses_who_does_not_know_the_password() {
    let (auth, protection) = (auth(), Protection::default());
    let server = Authenticator::new(&[Qop::Auth], &[], false);
    let Step::Send(initiate) = handshake(&auth, &protection).take(server.offer()).unwrap() else {
        panic!("no answer")
    };
    let other = server.judge(initiate.clone(), &|_| Some(Secret::new(vec![9])));
    assert!(matches!(other, Verdict::Mismatched));
    assert!(matches!(server.judge(initiate, &|_| None), Verdict::Refused(_)));
}

fn any_message() -> impl Strategy<Value = RpcSaslProto> {
    let word =
        || prop::option::of(prop::sample::select(vec!["", "TOKEN", "DIGEST-MD5", "SIMPLE", "default"]));
    let text = || {
        prop::option::of(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            r#"((nonce|realm|qop|cipher|algorithm|rspauth|auth|md5-sess|3des|"|=|,)){0,16}"#
                .prop_map(String::into_bytes),
            Just(
                br#"realm="default",nonce="x",qop="auth,auth-conf",cipher="rc4",algorithm=md5-sess"#.to_vec()
            ),
        ])
    };
    let auth =
        (word(), word(), word(), word(), text()).prop_map(|(method, mechanism, protocol, id, challenge)| {
            SaslAuth {
                method: method.unwrap_or_default().to_owned(),
                mechanism: mechanism.unwrap_or_default().to_owned(),
                protocol: protocol.map(str::to_owned),
                server_id: id.map(str::to_owned),
                challenge,
            }
        });
    (0..7i32, text(), prop::collection::vec(auth, 0..3)).prop_map(|(state, token, auths)| RpcSaslProto {
        version: None,
        state,
        token,
        auths,
    })
}

proptest! {
    /// Whatever a server says, the client ends with an error or an answer, and never believes it to be the
    /// right server: none of these can know the password.
    #[test]
    fn no_script_of_a_server_is_believed(script in prop::collection::vec(any_message(), 1..5)) {
        let (auth, protection) = (auth(), Protection::default());
        let mut client = handshake(&auth, &protection);
        for message in script {
            match client.take(message) {
                Ok(step) => prop_assert!(matches!(step, Step::Send(_)), "{:?}", step),
                Err(_) => break,
            }
        }
    }
}
