//! What protects messages once both ends are known: auth-int seals them with a keyed checksum, auth-conf
//! encrypts them too (RFC 2831, 2.3 and 2.4).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::cipher::{Cipher, Decryptor, Encryptor};
use super::digest::HashA1;
use super::{Qop, SaslError};

/// Which end of the connection seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    fn peer(self) -> Self {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    const fn signing(self) -> &'static [u8] {
        match self {
            Side::Client => b"Digest session key to client-to-server signing key magic constant",
            Side::Server => b"Digest session key to server-to-client signing key magic constant",
        }
    }

    const fn sealing(self) -> &'static [u8] {
        match self {
            Side::Client => b"Digest H(A1) to client-to-server sealing key magic constant",
            Side::Server => b"Digest H(A1) to server-to-client sealing key magic constant",
        }
    }
}

/// Both directions.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) seal: Sealer,
    pub(crate) open: Opener,
}

impl Layer {
    /// For this end of the connection. `None` when messages go as they are. Privacy has a cipher.
    pub(crate) fn new(ha1: &HashA1, qop: Qop, cipher: Option<Cipher>, side: Side) -> Option<Self> {
        let cipher = match qop {
            Qop::Auth => return None,
            Qop::Integrity => None,
            Qop::Privacy => cipher,
        };
        let (ours, theirs) = (Keys::new(ha1, cipher, side), Keys::new(ha1, cipher, side.peer()));
        let encryptor = cipher.map(|cipher| cipher.encrypt(&ours.sealing));
        let decryptor = cipher.map(|cipher| cipher.decrypt(&theirs.sealing));
        let block = cipher.and_then(Cipher::block);
        Some(Self {
            seal: Sealer { signing: ours.signing, sequence: 0, cipher: encryptor, block },
            open: Opener { signing: theirs.signing, sequence: 0, cipher: decryptor, block },
        })
    }
}

type Key = Zeroizing<[u8; 16]>;

struct Keys {
    signing: Key,
    sealing: Key,
}

impl Keys {
    fn new(ha1: &HashA1, cipher: Option<Cipher>, side: Side) -> Self {
        let from_a1 = cipher.map_or(16, Cipher::key_bytes);
        Self { signing: derive(&ha1[..], side.signing()), sealing: derive(&ha1[..from_a1], side.sealing()) }
    }
}

fn derive(ha1: &[u8], constant: &[u8]) -> Key {
    Zeroizing::new(Md5::new().chain_update(ha1).chain_update(constant).finalize().into())
}

const MAC: usize = 10;
/// The message type, always 1, and the sequence number.
const TAIL: usize = 2 + 4;

fn mac(signing: &Key, sequence: u32, message: &[u8]) -> [u8; MAC] {
    // HMAC takes keys of any length, so this does not fail.
    let mut hmac =
        Hmac::<Md5>::new_from_slice(&signing[..]).unwrap_or_else(|_| Hmac::<Md5>::new(&[0; 64].into()));
    hmac.update(&sequence.to_be_bytes());
    hmac.update(message);
    let full = hmac.finalize().into_bytes();
    let mut out = [0; MAC];
    out.copy_from_slice(&full[..MAC]);
    out
}

/// Protects what is sent.
pub(crate) struct Sealer {
    signing: Key,
    sequence: u32,
    cipher: Option<Encryptor>,
    block: Option<usize>,
}

impl Sealer {
    pub(crate) fn seal(&mut self, message: &[u8]) -> Result<Vec<u8>, SaslError> {
        let mut out = Vec::with_capacity(message.len() + 8 + MAC + TAIL);
        out.extend_from_slice(message);
        if let Some(block) = self.block {
            let pad = block - (message.len() + MAC) % block;
            out.resize(out.len() + pad, pad as u8);
        }
        out.extend_from_slice(&mac(&self.signing, self.sequence, message));
        if let Some(cipher) = &mut self.cipher {
            cipher.apply(&mut out)?;
        }
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        Ok(out)
    }
}

/// Verifies and opens what arrives.
pub(crate) struct Opener {
    signing: Key,
    sequence: u32,
    cipher: Option<Decryptor>,
    block: Option<usize>,
}

impl Opener {
    pub(crate) fn open(&mut self, token: &[u8]) -> Result<Vec<u8>, SaslError> {
        let at = token.len().checked_sub(TAIL).ok_or(SaslError::Sealed("it is too short"))?;
        let (sealed, tail) = token.split_at(at);
        if sealed.len() < MAC {
            return Err(SaslError::Sealed("it is too short"));
        }
        if tail[..2] != [0, 1] || tail[2..] != self.sequence.to_be_bytes() {
            return Err(SaslError::Sealed("it is out of sequence"));
        }
        let mut message = sealed.to_vec();
        if let Some(cipher) = &mut self.cipher {
            cipher.apply(&mut message)?;
        }
        let theirs = message.split_off(message.len() - MAC);
        let padded_well = self.unpad(&mut message);
        let ours = mac(&self.signing, self.sequence, &message);
        // One answer to wrong padding and wrong checksums, so that neither tells about the other.
        if !padded_well || !bool::from(ours.ct_eq(&theirs)) {
            return Err(SaslError::Sealed("its checksum is wrong"));
        }
        self.sequence = self.sequence.wrapping_add(1);
        Ok(message)
    }

    fn unpad(&self, message: &mut Vec<u8>) -> bool {
        let Some(block) = self.block else { return true };
        let pad = usize::from(message.last().copied().unwrap_or(0));
        if pad == 0 || pad > block || pad > message.len() {
            return false;
        }
        let padding = message.split_off(message.len() - pad);
        padding.iter().all(|byte| usize::from(*byte) == pad)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(qop: Qop, cipher: Option<Cipher>) -> (Layer, Layer) {
        let ha1 = HashA1::from(vector_ha1());
        let layer = |side| Layer::new(&ha1, qop, cipher, side).unwrap();
        (layer(Side::Client), layer(Side::Server))
    }

    fn vector_ha1() -> [u8; 16] {
        let mut out = [0; 16];
        out.copy_from_slice(&crate::testing::unhex("de0328685f07e76d5c0b0f2d8af1a5bb"));
        out
    }

    /// The vectors of `reference/hadoop-rpc.md`, section 11, taken from a client that real daemons took.
    #[test]
    fn seals_what_real_daemons_took() {
        let wrapped = |qop, cipher| {
            let (mut client, _) = pair(qop, cipher);
            [client.seal.seal(b"hello").unwrap(), client.seal.seal(b"hello").unwrap()]
        };
        assert_eq!(
            wrapped(Qop::Integrity, None),
            [
                crate::testing::unhex("68656c6c6f8522a988d31b282146ae000100000000"),
                crate::testing::unhex("68656c6c6f90d266c2d997cd29867a000100000001"),
            ]
        );
        assert_eq!(
            wrapped(Qop::Privacy, Some(Cipher::TripleDes)),
            [
                crate::testing::unhex("c4812ab9b7cfa1809856f6458ff15e83000100000000"),
                crate::testing::unhex("fcec26cce6e6289ddcd49d90a78676bf000100000001"),
            ]
        );
    }

    #[test]
    fn replays_and_swapped_messages_do_not_open() {
        for (qop, cipher) in [(Qop::Integrity, None), (Qop::Privacy, Some(Cipher::Rc4))] {
            let (mut client, mut server) = pair(qop, cipher);
            let (first, second) = (client.seal.seal(b"a").unwrap(), client.seal.seal(b"b").unwrap());
            assert!(server.open.open(&second).is_err());
            assert_eq!(server.open.open(&first).unwrap(), b"a");
            assert!(server.open.open(&first).is_err());
        }
    }

    fn any_layer() -> impl Strategy<Value = (Qop, Option<Cipher>)> {
        let privacy = prop::sample::select(&Cipher::ALL[..]).prop_map(|cipher| (Qop::Privacy, Some(cipher)));
        prop_oneof![Just((Qop::Integrity, None)), privacy]
    }

    proptest! {
        #[test]
        fn what_one_end_seals_the_other_opens(
            (qop, cipher) in any_layer(),
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5),
        ) {
            let (mut client, mut server) = pair(qop, cipher);
            for message in messages {
                let token = client.seal.seal(&message).unwrap();
                prop_assert_eq!(server.open.open(&token).unwrap(), message.clone());
                let token = server.seal.seal(&message).unwrap();
                prop_assert_eq!(client.open.open(&token).unwrap(), message);
            }
        }

        #[test]
        fn one_changed_bit_is_seen(
            (qop, cipher) in any_layer(),
            message in prop::collection::vec(any::<u8>(), 0..40),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let (mut client, mut server) = pair(qop, cipher);
            let mut token = client.seal.seal(&message).unwrap();
            let at = at.index(token.len());
            token[at] ^= 1 << bit;
            prop_assert!(server.open.open(&token).is_err());
        }

        #[test]
        fn garbage_does_not_open(
            (qop, cipher) in any_layer(),
            mut token in prop::collection::vec(any::<u8>(), 0..64),
            right_tail in any::<bool>(),
        ) {
            if right_tail {
                token.extend_from_slice(&[0, 1, 0, 0, 0, 0]);
            }
            let (_, mut server) = pair(qop, cipher);
            prop_assert!(server.open.open(&token).is_err());
        }
    }
}
