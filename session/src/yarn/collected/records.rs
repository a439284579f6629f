//! The records in the blocks of a collected file: of each container its log files, one behind the other
//! (`AggregatedLogFormat`).

use std::io::{self, Read};

use kobel_hadoop_rpc::yarn::ContainerId;

use super::tfile::{TFileError, bytes, number_or_end};

/// So much is kept of the end of a log.
pub(super) const TAIL: usize = 4 << 20;

/// A log of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) container: ContainerId,
    pub(super) name: String,
    /// Of the whole log.
    pub(super) length: u64,
    /// Its last bytes.
    pub(super) tail: Vec<u8>,
}

/// Hands on each log of a block whose name is wanted. A record in which something went wrong when it was
/// written is left at that place.
pub(super) fn read_block<E: From<TFileError>>(
    mut block: impl Read,
    wanted: impl Fn(&str) -> bool,
    mut found: impl FnMut(Log) -> Result<(), E>,
) -> Result<(), E> {
    while let Some(key) = bytes(&mut block)? {
        let mut value = Value { block: &mut block, left: 0, last: false };
        // The others tell a version, an owner, and who may look.
        if let Some(container) = utf(&mut key.as_slice())?.and_then(|key| key.parse().ok()) {
            while let Some(log) = read_log(&mut value, container, &wanted)? {
                log.map_or(Ok(()), &mut found)?;
            }
        }
        io::copy(&mut value, &mut io::sink()).map_err(TFileError::from)?;
    }
    Ok(())
}

/// The next log of a record, if it is wanted; none at the end of those that can be told apart.
fn read_log(
    value: &mut impl Read,
    container: ContainerId,
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<Option<Log>>, TFileError> {
    let Some(name) = utf(value)? else { return Ok(None) };
    let Some(length) = utf(value)?.and_then(|text| text.trim().parse().ok()) else { return Ok(None) };
    let mut content = value.by_ref().take(length);
    if !wanted(&name) {
        io::copy(&mut content, &mut io::sink())?;
        return Ok(Some(None));
    }
    let (length, tail) = tail(content)?;
    Ok(Some(Some(Log { container, name, length, tail })))
}

/// How much there is, and the last of it.
fn tail(mut content: impl Read) -> io::Result<(u64, Vec<u8>)> {
    let (mut length, mut tail) = (0, Vec::new());
    loop {
        let more = content.by_ref().take(TAIL as u64).read_to_end(&mut tail)?;
        length += more as u64;
        tail.drain(..tail.len().saturating_sub(TAIL));
        if more == 0 {
            return Ok((length, tail));
        }
    }
}

/// A text as Java's `DataOutput.writeUTF` writes it; none where there is nothing more.
fn utf(from: &mut impl Read) -> Result<Option<String>, TFileError> {
    let mut text = Vec::new();
    from.by_ref().take(2).read_to_end(&mut text)?;
    let Ok(length) = <[u8; 2]>::try_from(text) else { return Ok(None) };
    let length = u16::from_be_bytes(length);
    let mut text = Vec::new();
    from.by_ref().take(length.into()).read_to_end(&mut text)?;
    let whole = text.len() == usize::from(length);
    Ok(whole.then(|| String::from_utf8_lossy(&text).into_owned()))
}

/// A record's value, which comes in pieces, each behind its length: the last one's is not negative
/// (`Chunk`).
struct Value<R> {
    block: R,
    left: u64,
    last: bool,
}

impl<R: Read> Read for Value<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            if self.last {
                return Ok(0);
            }
            let length = number_or_end(&mut self.block).map_err(io::Error::other)?;
            let length = length.ok_or(io::ErrorKind::UnexpectedEof)?;
            (self.left, self.last) = (length.unsigned_abs(), length >= 0);
        }
        let read = self.block.by_ref().take(self.left).read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}
