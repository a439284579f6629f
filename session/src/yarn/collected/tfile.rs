//! The files that NodeManagers collect logs in: Hadoop's `TFile`, which lies in a `BCFile`. That is blocks,
//! each compressed by itself, and at the end what tells where they are. Nothing in a file is believed: what
//! it says of its own sizes is held against bounds before anything is made of that size.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;

/// What every file ends with (`BCFile.Magic`).
const MARK: [u8; 16] = *b"\xd1\x11\xd3\x68\x91\xb5\xd7\xb6\x39\xdf\x41\x40\x92\xba\xe1\x50";
/// Where the index of indices is, a version, and the mark.
pub(super) const TRAILER: u64 = 8 + 4 + 16;
/// The index of the blocks, among the indices.
const BLOCKS: &str = "data:BCFile.index";
/// An index is read into memory.
pub(super) const LARGEST_INDEX: u64 = 8 << 20;
/// A name or a key in a file.
const LONGEST: i64 = 64 << 10;

/// A file is not what a NodeManager writes, or not in a way that is read here.
#[derive(Debug, thiserror::Error)]
pub enum TFileError {
    /// It has another end.
    #[error("it does not end as a TFile does")]
    NoTFile,
    /// A part of it says of itself what cannot be.
    #[error("its {0} cannot be")]
    Damaged(&'static str),
    /// It is compressed in a way that there is no program for here.
    #[error("it is compressed with {0}, and kobel reads none and gz")]
    Compression(String),
    /// It cannot be read, or ends too early.
    #[error("it cannot be read to its end")]
    Read(#[from] io::Error),
}

type Result<T> = std::result::Result<T, TFileError>;

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// How a part is compressed (`Compression.Algorithm`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    /// By Hadoop's `DefaultCodec`, whatever its name says.
    Gz,
}

/// Blocks of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) compression: Compression,
    pub(super) regions: Vec<Region>,
}

impl Compression {
    fn of_name(name: String) -> Result<Self> {
        match name.as_str() {
            "none" => Ok(Self::None),
            "gz" => Ok(Self::Gz),
            _ => Err(TFileError::Compression(name)),
        }
    }

    /// What is in a part that holds this.
    pub(super) fn open<'a>(self, part: impl Read + 'a) -> Box<dyn Read + 'a> {
        match self {
            Self::None => Box::new(part),
            Self::Gz => Box::new(ZlibDecoder::new(part)),
        }
    }
}

/// Where in a file of this length the index of indices is, by the file's last bytes.
pub(super) fn indices(last: &[u8], length: u64) -> Result<Region> {
    let trailer = last.last_chunk::<{ TRAILER as usize }>().ok_or(TFileError::NoTFile)?;
    let (offset, rest) = trailer.split_first_chunk::<8>().ok_or(TFileError::NoTFile)?;
    if !rest.ends_with(&MARK) {
        return Err(TFileError::NoTFile);
    }
    let offset = u64::from_be_bytes(*offset);
    let end = length.checked_sub(TRAILER).ok_or(TFileError::NoTFile)?;
    match end.checked_sub(offset) {
        Some(length) if length <= LARGEST_INDEX => Ok(Region { offset, length }),
        _ => Err(TFileError::Damaged("place of the index")),
    }
}

/// Where the index of the blocks is, and how compressed.
pub(super) fn block_index(mut indices: &[u8], length: u64) -> Result<(Compression, Region)> {
    for _ in 0..count(&mut indices)? {
        let name = text(&mut indices)?;
        let compression = text(&mut indices)?;
        let region = region(&mut indices, length)?;
        if name == BLOCKS {
            let compression = Compression::of_name(compression)?;
            if region.length > LARGEST_INDEX {
                return Err(TFileError::Damaged("index of blocks"));
            }
            return Ok((compression, region));
        }
    }
    Err(TFileError::Damaged("list of indices"))
}

/// The blocks, by their index in a file of this length.
pub(super) fn blocks(index: impl Read, length: u64) -> Result<Blocks> {
    let mut index = index.take(LARGEST_INDEX);
    let compression = Compression::of_name(text(&mut index)?)?;
    let count = count(&mut index)?;
    let regions = (0..count).map(|_| region(&mut index, length)).collect::<Result<_>>()?;
    Ok(Blocks { compression, regions })
}

/// A part's place, and a size that it has when it is not compressed, which its end tells as well.
fn region(from: &mut impl Read, length: u64) -> Result<Region> {
    let mut number = || u64::try_from(number(&mut *from)?).map_err(|_| TFileError::Damaged("index"));
    let region = Region { offset: number()?, length: number()? };
    number()?;
    match region.offset.checked_add(region.length) {
        Some(end) if end <= length => Ok(region),
        _ => Err(TFileError::Damaged("index")),
    }
}

fn count(from: &mut impl Read) -> Result<u32> {
    u32::try_from(number(from)?).map_err(|_| TFileError::Damaged("index"))
}

/// A text (`Utils.readString`); none at all is none of these.
fn text(from: &mut impl Read) -> Result<String> {
    let bytes = bytes(from)?.ok_or(TFileError::Damaged("index"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Bytes behind their number; none where there is nothing more.
pub(super) fn bytes(from: &mut impl Read) -> Result<Option<Vec<u8>>> {
    let Some(length) = number_or_end(from)? else { return Ok(None) };
    let length = usize::try_from(length).ok().filter(|_| length <= LONGEST);
    let mut bytes = vec![0; length.ok_or(TFileError::Damaged("length of a text"))?];
    from.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

fn number(from: &mut impl Read) -> Result<i64> {
    number_or_end(from)?.ok_or(TFileError::Read(io::ErrorKind::UnexpectedEof.into()))
}

/// A whole number in as many bytes as it needs (`Utils.readVLong`): the first byte is it, or its highest part
/// and how many follow, or how many it has in all. None where there is nothing more.
pub(super) fn number_or_end(from: &mut impl Read) -> Result<Option<i64>> {
    let mut first = [0];
    // Not `read`, which may be interrupted.
    if io::copy(&mut from.by_ref().take(1), &mut first.as_mut_slice())? == 0 {
        return Ok(None);
    }
    let first = i64::from(i8::from_be_bytes(first));
    let (high, more) = match first {
        -32.. => (first, 0),
        -72.. => (first + 52, 1),
        -104.. => (first + 88, 2),
        -120.. => (first + 112, 3),
        // Whole numbers with a sign of their own.
        _ => (0, usize::try_from(first + 129).unwrap_or(0)),
    };
    let mut rest = [0; 8];
    let rest = &mut rest[..more];
    from.read_exact(rest)?;
    let signed = first < -120 && rest.first().is_some_and(|byte| *byte > 0x7f);
    let start = if signed { -1 } else { high };
    Ok(Some(rest.iter().fold(start, |value, byte| (value << 8) | i64::from(*byte))))
}
