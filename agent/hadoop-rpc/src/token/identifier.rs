//! What stands in an HDFS delegation token. YARN's identifiers are messages; this one is older.

use super::writable::{Reader, put_bytes, put_number};
use super::{Token, TokenError};

/// The identifier of a token of kind [`HDFS_DELEGATION`](super::kind::HDFS_DELEGATION).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HdfsIdentifier {
    /// Whose token it is.
    pub owner: String,
    /// Who may renew it.
    pub renewer: String,
    /// Who got it in the owner's name, if another did.
    pub real_user: String,
    /// When it was issued, in milliseconds since 1970.
    pub issue_date: i64,
    /// Until when it can be renewed, in milliseconds since 1970.
    pub max_date: i64,
    /// Its number.
    pub sequence_number: i64,
    /// With which key it was signed.
    pub master_key_id: i64,
}

impl HdfsIdentifier {
    /// Reads the identifier of such a token.
    pub fn of(token: &Token) -> Result<Self, TokenError> {
        let mut reader = Reader::new(&token.identifier);
        let version = reader.byte("version")?;
        if version != 0 {
            return Err(TokenError::Version(version));
        }
        Ok(Self {
            owner: reader.text("owner")?.to_owned(),
            renewer: reader.text("renewer")?.to_owned(),
            real_user: reader.text("real user")?.to_owned(),
            issue_date: reader.number("issue date")?,
            max_date: reader.number("max date")?,
            sequence_number: reader.number("sequence number")?,
            master_key_id: reader.number("master key id")?,
        })
    }

    /// As it stands in a token.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![0];
        for text in [&self.owner, &self.renewer, &self.real_user] {
            put_bytes(text.as_bytes(), &mut out);
        }
        for number in [self.issue_date, self.max_date, self.sequence_number, self.master_key_id] {
            put_number(number, &mut out);
        }
        out
    }
}
