//! A collected file read from its end, piece by piece.

use std::{
    io::{self, Read},
    time::Instant,
};

use kobel_staging::Hdfs;
use tokio::runtime::Handle;

use super::{
    error::Stopped,
    records::{Log, read_block},
    tfile::{self, Region, TFileError},
};

/// So much is fetched at once.
const PIECE: u64 = 2 << 20;

/// A file of which parts can be read.
pub(super) trait Parts {
    /// Its length.
    fn length(&self) -> u64;
    /// A part of it that it has.
    fn part(&self, part: Region) -> io::Result<Vec<u8>>;
}

/// Hands on the logs of a file whose names are wanted.
pub(super) fn read(
    file: &impl Parts,
    wanted: impl Fn(&str) -> bool,
    mut found: impl FnMut(Log) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    for_each_block(file, |block| read_block(block, &wanted, &mut found))
}

fn for_each_block(
    file: &impl Parts,
    mut read: impl FnMut(&mut dyn Read) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let length = file.length();
    let end = tfile::TRAILER.min(length);
    let last = file.part(Region { offset: length - end, length: end }).map_err(TFileError::from)?;
    let indices = file.part(tfile::indices(&last, length)?).map_err(TFileError::from)?;
    let (compression, index) = tfile::block_index(&indices, length)?;
    let blocks = tfile::blocks(compression.open(Part::new(file, index)), length)?;
    for region in blocks.regions {
        read(&mut blocks.compression.open(Part::new(file, region)))?;
    }
    Ok(())
}

/// A part of a file as a stream.
struct Part<'a, F> {
    file: &'a F,
    rest: Region,
    piece: io::Cursor<Vec<u8>>,
}

impl<'a, F> Part<'a, F> {
    fn new(file: &'a F, rest: Region) -> Self {
        Self { file, rest, piece: io::Cursor::default() }
    }
}

impl<F: Parts> Read for Part<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.piece.read(buffer)?;
        if read > 0 || self.rest.length == 0 || buffer.is_empty() {
            return Ok(read);
        }
        let Region { offset, length } = self.rest;
        let next = length.min(PIECE);
        self.piece = io::Cursor::new(self.file.part(Region { offset, length: next })?);
        self.rest = Region { offset: offset + next, length: length - next };
        self.piece.read(buffer)
    }
}

/// A file on HDFS, for a thread that may wait.
pub(super) struct Remote {
    hdfs: Hdfs,
    path: String,
    length: u64,
    until: Instant,
    runtime: Handle,
}

impl Remote {
    /// To be read until then, within a runtime.
    pub(super) fn new(hdfs: Hdfs, path: &str, length: u64, until: Instant) -> Self {
        Self { hdfs, path: path.into(), length, until, runtime: Handle::current() }
    }
}

impl Parts for Remote {
    fn length(&self) -> u64 {
        self.length
    }

    fn part(&self, Region { offset, length }: Region) -> io::Result<Vec<u8>> {
        if Instant::now() >= self.until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it is too much to be read in time"));
        }
        let part = self.runtime.block_on(self.hdfs.read_part(&self.path, offset, length));
        part.map_err(io::Error::other)
    }
}
