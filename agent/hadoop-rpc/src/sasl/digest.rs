//! DIGEST-MD5's numbers: what each end proves, without saying the password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::directive::{Directives, quote};
use super::{Protection, Qop, SaslError};
use crate::token::{Secret, Token};

/// H(A1), from which all keys come.
pub(crate) type HashA1 = Zeroizing<[u8; 16]>;

/// What the server says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) realm: String,
    pub(crate) nonce: String,
    pub(crate) qops: Vec<Qop>,
    pub(crate) ciphers: Vec<Cipher>,
}

impl Challenge {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, SaslError> {
        let directives = Directives::parse(text)?;
        if !directives.required("algorithm")?.eq_ignore_ascii_case("md5-sess") {
            return Err(SaslError::Challenge("its algorithm is not md5-sess"));
        }
        let nonce = directives.required("nonce")?.to_owned();
        if nonce.is_empty() {
            return Err(SaslError::Challenge("its nonce is empty"));
        }
        // Of several realms the first will do: a token's password does not depend on it.
        let realm = directives.all("realm").next().unwrap_or_default().to_owned();
        let qops = words(directives.one("qop")?.unwrap_or("auth")).filter_map(Qop::from_word).collect();
        let ciphers =
            words(directives.one("cipher")?.unwrap_or_default()).filter_map(Cipher::from_word).collect();
        Ok(Self { realm, nonce, qops, ciphers })
    }

    /// The strongest protection that both ends have, with a cipher where it takes one.
    pub(crate) fn choose(&self, allowed: &Protection) -> Result<(Qop, Option<Cipher>), SaslError> {
        let cipher = Cipher::ALL.into_iter().find(|cipher| self.ciphers.contains(cipher));
        let mut usable = self.qops.clone();
        if cipher.is_none() {
            usable.retain(|qop| *qop != Qop::Privacy);
        }
        let qop = allowed.strongest(&usable)?;
        Ok((qop, cipher.filter(|_| qop == Qop::Privacy)))
    }
}

pub(crate) fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty())
}

/// What both ends have agreed on, and prove to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// The token's identifier, in base64.
    pub(crate) user: String,
    pub(crate) realm: String,
    pub(crate) nonce: String,
    pub(crate) cnonce: String,
    pub(crate) uri: String,
    pub(crate) qop: Qop,
    pub(crate) cipher: Option<Cipher>,
}

/// The name under which a token's owner appears.
pub(crate) fn user_of(token: &Token) -> String {
    STANDARD.encode(&token.identifier)
}

impl Exchange {
    pub(crate) fn ha1(&self, password: &Secret) -> HashA1 {
        let password = Zeroizing::new(STANDARD.encode(password.expose()));
        let secret = Md5::new()
            .chain_update(&self.user)
            .chain_update(":")
            .chain_update(&self.realm)
            .chain_update(":")
            .chain_update(password.as_bytes())
            .finalize();
        let hash = Md5::new()
            .chain_update(secret)
            .chain_update(":")
            .chain_update(&self.nonce)
            .chain_update(":")
            .chain_update(&self.cnonce)
            .finalize();
        Zeroizing::new(hash.into())
    }

    /// The client's proof.
    pub(crate) fn response(&self, ha1: &HashA1) -> String {
        self.proof(ha1, "AUTHENTICATE")
    }

    /// The server's proof (`rspauth`).
    pub(crate) fn server_response(&self, ha1: &HashA1) -> String {
        self.proof(ha1, "")
    }

    fn proof(&self, ha1: &HashA1, method: &str) -> String {
        let no_body = if self.qop == Qop::Auth { "" } else { ":00000000000000000000000000000000" };
        let a2 = Md5::digest(format!("{method}:{}{no_body}", self.uri));
        let text = format!(
            "{}:{}:00000001:{}:{}:{}",
            *Zeroizing::new(hex(&ha1[..])),
            self.nonce,
            self.cnonce,
            self.qop.word(),
            hex(&a2)
        );
        hex(&Md5::digest(Zeroizing::new(text).as_bytes()))
    }

    /// The client's one message.
    pub(crate) fn message(&self, ha1: &HashA1) -> String {
        let mut out = format!(
            "charset=utf-8,username={},realm={},nonce={},nc=00000001,cnonce={},digest-uri={},maxbuf=65536,response={},qop={}",
            quote(&self.user),
            quote(&self.realm),
            quote(&self.nonce),
            quote(&self.cnonce),
            quote(&self.uri),
            self.response(ha1),
            self.qop.word(),
        );
        if let Some(cipher) = self.cipher {
            out.push_str(",cipher=");
            out.push_str(&quote(cipher.word()));
        }
        out
    }
}

/// Something that was never said before.
pub(crate) fn nonce() -> Result<String, SaslError> {
    let mut bytes = [0; 30];
    getrandom::fill(&mut bytes).map_err(|_| SaslError::Random)?;
    Ok(STANDARD.encode(bytes))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exchange(qop: Qop) -> Exchange {
        Exchange {
            user: user_of(&crate::testing::vector_token()),
            realm: "default".to_owned(),
            nonce: "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk".to_owned(),
            cnonce: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd".to_owned(),
            uri: "/default".to_owned(),
            qop,
            cipher: None,
        }
    }

    /// `reference/hadoop-rpc.md`, section 11.
    #[test]
    fn proves_what_real_daemons_took() {
        let expected = [
            (Qop::Auth, "c4667721fdedc9a1a9d9ca9d1321c856", "ec58e1cdab23ffa009385922d32a9379"),
            (Qop::Integrity, "3a800b68da8b1a24e5fe9a96bb1f7a70", "90b6711e727da1dfbc2e451d348142a7"),
            (Qop::Privacy, "5547bd959983babe7d6f19764c4e1525", "bab281368e2c717db378806a765fd124"),
        ];
        for (qop, response, rspauth) in expected {
            let exchange = exchange(qop);
            let ha1 = exchange.ha1(&crate::testing::vector_token().password);
            assert_eq!(hex(&ha1[..]), "de0328685f07e76d5c0b0f2d8af1a5bb");
            assert_eq!(exchange.response(&ha1), response, "{qop:?}");
            assert_eq!(exchange.server_response(&ha1), rspauth, "{qop:?}");
        }
    }

    #[test]
    fn a_challenge_of_hadoop_is_read_and_the_strongest_common_protection_chosen() {
        let text = br#"realm="default",nonce="bm9uY2U=",qop="auth,auth-int,auth-conf",charset=utf-8,cipher="3des,rc4,des,rc4-56,rc4-40",algorithm=md5-sess"#;
        let challenge = Challenge::parse(text).unwrap();
        assert_eq!((challenge.realm.as_str(), challenge.nonce.as_str()), ("default", "bm9uY2U="));
        assert_eq!(challenge.qops, Qop::ALL);
        assert_eq!(challenge.choose(&Protection::default()), Ok((Qop::Privacy, Some(Cipher::TripleDes))));
        let only = |qop| challenge.choose(&Protection::only(&[qop]));
        assert_eq!(only(Qop::Auth), Ok((Qop::Auth, None)));
        assert_eq!(only(Qop::Integrity), Ok((Qop::Integrity, None)));
    }

    #[test]
    fn privacy_is_not_traded_for_less() {
        let challenge = Challenge::parse(br#"nonce=a,qop="auth",algorithm=md5-sess"#).unwrap();
        let error = challenge.choose(&Protection::only(&[Qop::Privacy])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the server protects calls by authentication, and here privacy is allowed"
        );
        let without_cipher = Challenge::parse(b"nonce=a,qop=\"auth-conf\",algorithm=md5-sess").unwrap();
        assert!(without_cipher.choose(&Protection::default()).is_err());
    }

    #[test]
    fn challenges_that_would_weaken_the_proof_are_refused() {
        for text in
            ["nonce=a", "nonce=a,algorithm=md5", "algorithm=md5-sess", "nonce=\"\",algorithm=md5-sess"]
        {
            assert!(Challenge::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_challenge_parses_or_fails(text in r#"(nonce|algorithm|qop|cipher|realm|,|=|"|md5-sess|auth){0,12}"#) {
            if let Ok(challenge) = Challenge::parse(text.as_bytes()) {
                let _ = challenge.choose(&Protection::default());
            }
        }
    }
}
