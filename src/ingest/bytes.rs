//! The bytes of a file: read up to a length that is fixed before, hashed, and decompressed by what they begin with.
//! It does not know records.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::{Error, Result};

const BLOCK_BYTES: usize = 256 << 10;

/// How far an ingest has come, in bytes as stored.
pub(super) struct Progress<'a> {
    done: AtomicU64,
    total: u64,
    tell: &'a (dyn Fn(u64, u64) + Sync),
}

impl<'a> Progress<'a> {
    /// Nothing of `total` bytes is read.
    pub(super) fn new(total: u64, tell: &'a (dyn Fn(u64, u64) + Sync)) -> Self {
        Self { done: AtomicU64::new(0), total, tell }
    }

    /// Tells that more bytes are read.
    pub(super) fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // A file may have grown since the total was taken.
        (self.tell)(done.min(self.total), self.total);
    }
}

/// What a file holds: its length and the SHA-256 (hex) of that many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checksum {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// The present length of a file.
pub(super) fn length(path: &Path) -> Result<u64> {
    Ok(path.metadata().map_err(|e| Error::path("read", path, e))?.len())
}

/// Hashes a file up to its present end.
pub(super) fn checksum(path: &Path) -> Result<Checksum> {
    let failed = |e: io::Error| Error::path("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK_BYTES];
    let mut bytes = 0;
    loop {
        let length = match file.read(&mut block) {
            Ok(0) => break,
            Ok(length) => length,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(failed(e)),
        };
        hash.update(&block[..length]);
        bytes += length as u64;
    }
    Ok(Checksum { bytes, sha256: hex(hash) })
}

/// Copies a stream that can be read only once to a file in `folder`.
pub(super) fn spool(mut stream: impl Read, folder: &Path) -> Result<NamedTempFile> {
    let failed = |e: io::Error| Error::path("write a copy of the input in", folder, e);
    let mut file = NamedTempFile::new_in(folder).map_err(failed)?;
    io::copy(&mut stream, &mut file).map_err(failed)?;
    Ok(file)
}

/// Opens the first `bytes` bytes of a file, decompressed if they are gzip or Zstandard. `hash`: their checksum is made
/// on the way.
pub(super) fn open<'a>(path: &Path, bytes: u64, hash: bool, progress: &'a Progress<'a>) -> Result<Unpacked<'a>> {
    let failed = |e: io::Error| Error::path("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let compression = Compression::of(&magic(&mut file, bytes).map_err(failed)?);
    let hash = hash.then(Sha256::new);
    let stored = Stored { file, bytes, left: bytes, untold: 0, hash, progress };
    let stored = BufReader::with_capacity(BLOCK_BYTES, stored);
    Ok(match compression {
        Compression::None => Unpacked::Plain(stored),
        Compression::Gzip => Unpacked::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(stored))),
        Compression::Zstd => Unpacked::Zstd(zstd::stream::read::Decoder::with_buffer(stored).map_err(failed)?),
    })
}

/// The text of a file.
pub(super) enum Unpacked<'a> {
    Plain(BufReader<Stored<'a>>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<BufReader<Stored<'a>>>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<Stored<'a>>>),
}

impl Unpacked<'_> {
    /// The checksum of the stored bytes, once, if it was to be made. Bytes that the text did not need are read now.
    pub(super) fn checksum(&mut self) -> io::Result<Option<Checksum>> {
        let stored = match self {
            Self::Plain(stored) => stored.get_mut(),
            Self::Gzip(text) => text.get_mut().get_mut(),
            Self::Zstd(text) => text.get_mut().get_mut(),
        };
        io::copy(stored, &mut io::sink())?;
        Ok(stored.hash.take().map(|hash| Checksum { bytes: stored.bytes, sha256: hex(hash) }))
    }
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(text) => text.read(buffer),
            Self::Gzip(text) => text.read(buffer),
            Self::Zstd(text) => text.read(buffer),
        }
    }
}

/// A file that can be read at any place: the file itself, or its decompressed copy in `folder`.
pub(super) enum Seekable {
    Itself(PathBuf),
    Copy(NamedTempFile),
}

impl Seekable {
    /// Decompresses the file to `folder` if it is compressed.
    pub(super) fn open(path: &Path, bytes: u64, folder: &Path, progress: &Progress) -> Result<Self> {
        let failed = |e: io::Error| Error::path("read", path, e);
        let mut file = File::open(path).map_err(failed)?;
        if Compression::of(&magic(&mut file, bytes).map_err(failed)?) == Compression::None {
            return Ok(Self::Itself(path.to_owned()));
        }
        let mut copy = NamedTempFile::new_in(folder).map_err(|e| Error::path("write in", folder, e))?;
        let mut stream = open(path, bytes, false, progress)?;
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            let length = match stream.read(&mut block) {
                Ok(0) => return Ok(Self::Copy(copy)),
                Ok(length) => length,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(read_error(path, &e)),
            };
            io::Write::write_all(&mut copy, &block[..length]).map_err(|e| Error::path("write in", folder, e))?;
        }
    }

    /// Whether the file had to be decompressed.
    pub(super) fn is_copy(&self) -> bool {
        matches!(self, Self::Copy(_))
    }

    /// Where the bytes are.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Itself(path) => path,
            Self::Copy(file) => file.path(),
        }
    }
}

/// The error of a read through [`open`]: the disk's if the system reports one, else the data's.
pub(super) fn read_error(path: &Path, cause: &io::Error) -> Error {
    if cause.raw_os_error().is_some() {
        Error::path("read", path, cause)
    } else {
        Error::Data(format!(
            "{}: the file is cut off or damaged ({cause}); nothing was ingested; replace the file or leave it out",
            path.display()
        ))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    fn of(magic: &[u8]) -> Self {
        match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or a skippable frame such as parallel compressors write first.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Self::Zstd,
            _ => Self::None,
        }
    }
}

// The first bytes, which tell the compression; the file stands at its beginning again.
fn magic(file: &mut File, bytes: u64) -> io::Result<Vec<u8>> {
    let mut magic = Vec::with_capacity(4);
    file.take(bytes.min(4)).read_to_end(&mut magic)?;
    file.rewind()?;
    Ok(magic)
}

fn hex(hash: Sha256) -> String {
    format!("{:x}", hash.finalize())
}

/// The stored bytes of one file. A file that has grown since its length was taken ends where it ended then; one that has
/// shrunk is an error.
pub(super) struct Stored<'a> {
    file: File,
    bytes: u64,
    left: u64,
    untold: u64,
    hash: Option<Sha256>,
    progress: &'a Progress<'a>,
}

impl Read for Stored<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let length = self.file.by_ref().take(self.left).read(buffer)?;
        if length == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        if let Some(hash) = &mut self.hash {
            hash.update(&buffer[..length]);
        }
        self.left -= length as u64;
        self.untold += length as u64;
        if self.untold >= 1 << 20 || self.left == 0 {
            self.progress.add(std::mem::take(&mut self.untold));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    fn read_stored(stored: &[u8], bytes: u64) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        fs::write(&path, stored).expect("a file");
        let ignore = |_, _| {};
        let progress = Progress::new(bytes, &ignore);
        let mut text = Vec::new();
        open(&path, bytes, false, &progress)?.read_to_end(&mut text).map_err(|e| read_error(&path, &e))?;
        Ok(text)
    }

    fn check(stored: &[u8], expected: &[u8]) {
        assert_eq!(read_stored(stored, stored.len() as u64).expect("readable"), expected);
    }

    #[test]
    fn compression_is_seen_in_the_bytes() {
        let zstd = |text: &[u8]| zstd::encode_all(text, 1).expect("memory");
        check(b"", b"");
        check(b"abc", b"abc");
        check(&gzip(b"abc"), b"abc");
        check(&[gzip(b"abc"), gzip(b"def")].concat(), b"abcdef");
        check(&zstd(b"abc"), b"abc");
        check(&[zstd(b"abc"), zstd(b"def")].concat(), b"abcdef");
    }

    #[test]
    fn a_stream_that_is_cut_off_is_the_datas_fault() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for whole in [gzip(&text), zstd::encode_all(&text[..], 1).expect("memory")] {
            let cut = &whole[..whole.len() / 2];
            let error = read_stored(cut, cut.len() as u64).expect_err("cut off");
            assert_eq!(error.exit_code(), 3, "{error}");
        }
    }

    #[test]
    fn what_was_appended_later_is_not_read() {
        assert_eq!(read_stored(b"abcdef", 3).expect("readable"), b"abc");
        assert_eq!(read_stored(b"abc", 6).expect_err("shrunk").exit_code(), 3);
    }

    #[test]
    fn the_checksum_is_sha256() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        fs::write(&path, b"abc").expect("a file");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
        assert_eq!(checksum(&path).expect("readable"), Checksum { bytes: 3, sha256 });
    }
}
