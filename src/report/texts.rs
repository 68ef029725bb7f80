//! Which texts a report was put together from, so that the next one can begin with those that are the same. It knows files
//! and checksums, not what stands in them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Text is read and written in pieces of about this size.
pub(super) const PIECE_BYTES: usize = 1 << 18;

/// The texts of the reports of one folder, by the name of the file. What cannot be read is no text, and is made anew.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Texts(BTreeMap<String, Text>);

/// A file of a report, and the files that its rows came from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Text {
    /// The folder of the report that it is in.
    pub(super) folder: String,
    /// What it was put together from, in order.
    pub(super) parts: Vec<Part>,
}

/// The rows of one file of a table, and where they end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// The path of the table's file, which never changes under its name.
    pub(super) file: String,
    /// The rows up to the end of this part.
    pub(super) rows: u64,
    /// The bytes up to the end of this part, with the header.
    pub(super) bytes: u64,
    /// Their checksum.
    pub(super) sha256: String,
}

impl Texts {
    /// What was remembered in a file; nothing, if it cannot be read.
    pub(super) fn read(path: &Path) -> Self {
        serde_json::from_slice(&fs::read(path).unwrap_or_default()).unwrap_or_default()
    }

    /// The texts of one folder are in another from now on.
    pub(super) fn moved(mut self, from: &str, to: &str) -> Self {
        for text in self.0.values_mut().filter(|text| text.folder == from) {
            to.clone_into(&mut text.folder);
        }
        self
    }

    /// Remembers these texts instead of earlier ones of their names. What cannot be remembered is made anew.
    pub(super) fn remember(mut self, texts: BTreeMap<String, Text>, path: &Path) {
        self.0.extend(texts);
        let _ = serde_json::to_vec(&self).map(|bytes| fs::write(path, bytes));
    }

    /// The earlier text of this name, as far as it came from the same files as a table.
    pub(super) fn beginning<'a>(&self, name: &str, files: impl Iterator<Item = &'a str>) -> Option<Text> {
        let text = self.0.get(name)?;
        let same = text.parts.iter().zip(files).take_while(|(part, file)| part.file == *file);
        let parts: Vec<Part> = same.map(|(part, _)| part.clone()).collect();
        (!parts.is_empty()).then(|| Text { folder: text.folder.clone(), parts })
    }
}

/// A file that is hashed while it is written.
pub(super) struct Hashed {
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl Hashed {
    /// A file that was not there.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create_new(path)?, hasher: Sha256::new(), bytes: 0 })
    }

    /// Begins with a part of an earlier text and all before it, or not at all, if the text is no longer what was written:
    /// a report may be edited.
    pub(super) fn begin(&mut self, text: &Path, last: &Part) -> io::Result<bool> {
        let Ok(text) = File::open(text) else { return Ok(false) };
        // If it is the new file that cannot be written, the next line finds it out.
        let copied = io::copy(&mut BufReader::with_capacity(PIECE_BYTES, text.take(last.bytes)), self);
        if copied.is_ok() && (self.bytes, self.sha256()) == (last.bytes, last.sha256.clone()) {
            return Ok(true);
        }
        self.file.set_len(0)?;
        self.file.rewind()?;
        (self.hasher, self.bytes) = (Sha256::new(), 0);
        Ok(false)
    }

    /// The number of bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The checksum of all bytes so far, lower-case hex.
    pub(super) fn sha256(&self) -> String {
        format!("{:x}", self.hasher.clone().finalize())
    }

    /// Makes what was written outlive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
