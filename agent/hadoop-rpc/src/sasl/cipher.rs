//! The ciphers of auth-conf. Their state runs on from message to message.

use cbc::cipher::{
    Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit,
};
use des::{Des, TdesEde2};
use rc4::{KeyInit, Rc4, StreamCipher};
use zeroize::Zeroizing;

use super::SaslError;

/// What a server can offer, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cipher {
    TripleDes,
    Rc4,
    Des,
    Rc4With56,
    Rc4With40,
}

impl Cipher {
    pub(crate) const ALL: [Cipher; 5] =
        [Cipher::TripleDes, Cipher::Rc4, Cipher::Des, Cipher::Rc4With56, Cipher::Rc4With40];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Cipher::TripleDes => "3des",
            Cipher::Rc4 => "rc4",
            Cipher::Des => "des",
            Cipher::Rc4With56 => "rc4-56",
            Cipher::Rc4With40 => "rc4-40",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cipher| cipher.word().eq_ignore_ascii_case(word))
    }

    /// How many bytes of H(A1) go into its key.
    pub(crate) const fn key_bytes(self) -> usize {
        match self {
            Cipher::TripleDes | Cipher::Rc4 | Cipher::Des => 16,
            Cipher::Rc4With56 => 7,
            Cipher::Rc4With40 => 5,
        }
    }

    /// How long the input must be a multiple of, when it is padded at all.
    pub(crate) const fn block(self) -> Option<usize> {
        match self {
            Cipher::TripleDes | Cipher::Des => Some(8),
            Cipher::Rc4 | Cipher::Rc4With56 | Cipher::Rc4With40 => None,
        }
    }

    pub(crate) fn encrypt(self, key: &[u8; 16]) -> Encryptor {
        let (first, iv) = halves(key);
        match self {
            Cipher::TripleDes => {
                Encryptor::TripleDes(Box::new(cbc::Encryptor::new(&(*triple(key)).into(), &iv.into())))
            }
            Cipher::Des => Encryptor::Des(Box::new(cbc::Encryptor::new(&(*first).into(), &iv.into()))),
            _ => Encryptor::Rc4(Box::new(rc4(key))),
        }
    }

    pub(crate) fn decrypt(self, key: &[u8; 16]) -> Decryptor {
        let (first, iv) = halves(key);
        match self {
            Cipher::TripleDes => {
                Decryptor::TripleDes(Box::new(cbc::Decryptor::new(&(*triple(key)).into(), &iv.into())))
            }
            Cipher::Des => Decryptor::Des(Box::new(cbc::Decryptor::new(&(*first).into(), &iv.into()))),
            _ => Decryptor::Rc4(Box::new(rc4(key))),
        }
    }
}

/// DES takes its key from the first seven bytes, and its first vector from the last eight.
fn halves(key: &[u8; 16]) -> (Zeroizing<[u8; 8]>, [u8; 8]) {
    let mut iv = [0; 8];
    iv.copy_from_slice(&key[8..]);
    (with_parity(&key[..7]), iv)
}

/// Two keys of DES, from seven bytes each; the third is the first again.
fn triple(key: &[u8; 16]) -> Zeroizing<[u8; 16]> {
    let mut out = Zeroizing::new([0; 16]);
    out[..8].copy_from_slice(&*with_parity(&key[..7]));
    out[8..].copy_from_slice(&*with_parity(&key[7..14]));
    out
}

/// Spreads seven bytes over eight, seven bits and one of odd parity in each.
fn with_parity(seven: &[u8]) -> Zeroizing<[u8; 8]> {
    let bits = seven.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let mut out = Zeroizing::new([0; 8]);
    for (at, byte) in out.iter_mut().enumerate() {
        let high = (bits >> (49 - 7 * at)) as u8 & 0x7f;
        *byte = high << 1 | u8::from(high.count_ones().is_multiple_of(2));
    }
    out
}

fn rc4(key: &[u8; 16]) -> Rc4 {
    // Its only failure is a key that is empty or longer than 256 bytes.
    Rc4::new_from_slice(key).unwrap_or_else(|_| Rc4::new(&[0; 32].into()))
}

pub(crate) enum Encryptor {
    TripleDes(Box<cbc::Encryptor<TdesEde2>>),
    Des(Box<cbc::Encryptor<Des>>),
    Rc4(Box<Rc4>),
}

impl Encryptor {
    /// In place. A block cipher wants whole blocks.
    pub(crate) fn apply(&mut self, data: &mut [u8]) -> Result<(), SaslError> {
        match self {
            Self::TripleDes(cipher) => encrypt_blocks(cipher, data),
            Self::Des(cipher) => encrypt_blocks(cipher, data),
            Self::Rc4(cipher) => keystream(cipher, data),
        }
    }
}

pub(crate) enum Decryptor {
    TripleDes(Box<cbc::Decryptor<TdesEde2>>),
    Des(Box<cbc::Decryptor<Des>>),
    Rc4(Box<Rc4>),
}

impl Decryptor {
    /// In place. A block cipher wants whole blocks.
    pub(crate) fn apply(&mut self, data: &mut [u8]) -> Result<(), SaslError> {
        match self {
            Self::TripleDes(cipher) => decrypt_blocks(cipher, data),
            Self::Des(cipher) => decrypt_blocks(cipher, data),
            Self::Rc4(cipher) => keystream(cipher, data),
        }
    }
}

const PARTIAL: SaslError = SaslError::Sealed("it does not fill its blocks");

fn encrypt_blocks<C>(cipher: &mut cbc::Encryptor<C>, data: &mut [u8]) -> Result<(), SaslError>
where
    C: BlockCipherEncrypt,
{
    let (blocks, rest) = Block::<C>::slice_as_chunks_mut(data);
    cipher.encrypt_blocks(blocks);
    if rest.is_empty() { Ok(()) } else { Err(PARTIAL) }
}

fn decrypt_blocks<C>(cipher: &mut cbc::Decryptor<C>, data: &mut [u8]) -> Result<(), SaslError>
where
    C: BlockCipherDecrypt,
{
    let (blocks, rest) = Block::<C>::slice_as_chunks_mut(data);
    cipher.decrypt_blocks(blocks);
    if rest.is_empty() { Ok(()) } else { Err(PARTIAL) }
}

fn keystream(cipher: &mut Rc4, data: &mut [u8]) -> Result<(), SaslError> {
    cipher.try_apply_keystream(data).map_err(|_| PARTIAL)
}
