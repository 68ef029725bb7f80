//! Where query folders come from: the built-in ones (embedded in a release, read from the source tree in a dev build)
//! and those of a user. It finds files; it does not know what they say.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;

use super::Group;
use crate::error::{Error, Result};

#[derive(RustEmbed)]
#[folder = "queries/"]
#[exclude = "*.md"]
#[exclude = "*.gitkeep"]
struct BuiltIn;

/// Where one file of a query folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In this program, by its path below `queries/`.
    BuiltIn(String),
    /// On disk.
    Disk(PathBuf),
}

/// The files of one query, by their path below its folder, with `/`.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    place: String,
    pub(super) files: BTreeMap<String, Origin>,
}

impl Origin {
    /// The bytes of the file.
    pub fn read(&self) -> Result<Cow<'static, [u8]>> {
        match self {
            Self::BuiltIn(path) => BuiltIn::get(path)
                .map(|file| file.data)
                .ok_or_else(|| Error::Storage(format!("queries/{path} is gone; it was there a moment ago"))),
            Self::Disk(path) => fs::read(path).map(Cow::Owned).map_err(|e| Error::path("read", path, e)),
        }
    }

    /// Where the file can be written to; `None` for what is inside a released program.
    #[must_use]
    pub fn disk_path(&self) -> Option<PathBuf> {
        match self {
            Self::BuiltIn(path) => source_root().map(|root| root.join("queries").join(path)),
            Self::Disk(path) => Some(path.clone()),
        }
    }

    /// The file of this name beside this one.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        match self {
            Self::BuiltIn(path) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                Self::BuiltIn(format!("{folder}/{name}"))
            }
            Self::Disk(path) => Self::Disk(path.with_file_name(name)),
        }
    }

    /// How a person finds the file.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::BuiltIn(path) => format!("queries/{path}"),
            Self::Disk(path) => path.display().to_string(),
        }
    }
}

impl Folder {
    /// How a person finds the folder.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The text of a file, and how a person finds it; `None` if there is no such file.
    pub(super) fn text(&self, name: &str) -> Result<Option<(String, String)>> {
        let Some(origin) = self.files.get(name) else { return Ok(None) };
        let text = String::from_utf8(origin.read()?.into_owned())
            .map_err(|e| Error::Definition(format!("{}: not UTF-8: {e}", origin.place())))?;
        Ok(Some((text, origin.place())))
    }
}

/// The root of the source tree, in a dev build: there the built-in queries are read from it, so that an edit needs no
/// build. The condition is that of `rust-embed`.
pub(super) fn source_root() -> Option<&'static Path> {
    cfg!(debug_assertions).then(|| Path::new(env!("CARGO_MANIFEST_DIR")))
}

/// The folders of this program.
pub(super) fn built_in() -> BTreeMap<(Group, String), Folder> {
    let mut found = BTreeMap::new();
    for path in BuiltIn::iter() {
        let mut parts = path.splitn(3, '/');
        let (Some(group), Some(name), Some(file)) =
            (parts.next().and_then(Group::of_folder), parts.next(), parts.next())
        else {
            continue;
        };
        if is_hidden(name) || file.split('/').any(is_hidden) {
            continue;
        }
        let place = || Folder { place: format!("queries/{}/{name}", group.folder()), files: BTreeMap::new() };
        let folder: &mut Folder = found.entry((group, name.to_owned())).or_insert_with(place);
        folder.files.insert(file.to_owned(), Origin::BuiltIn(path.to_string()));
    }
    found
}

/// The folders under a path that is laid out as `queries/`.
pub(super) fn on_disk(root: &Path) -> Result<BTreeMap<(Group, String), Folder>> {
    let mut found = BTreeMap::new();
    for (group_name, path) in folders_in(root)? {
        let group = Group::of_folder(&group_name).ok_or_else(|| {
            Error::Definition(format!(
                "{}: a folder of queries holds {}/; `{group_name}` is none of them",
                root.display(),
                Group::ALL.map(Group::folder).join("/, ")
            ))
        })?;
        for (name, path) in folders_in(&path)? {
            let mut folder = Folder { place: path.display().to_string(), files: BTreeMap::new() };
            gather(&path, "", &mut folder.files)?;
            found.insert((group, name), folder);
        }
    }
    Ok(found)
}

fn folders_in(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    Ok(entries(root)?.into_iter().filter(|(_, path)| path.is_dir()).collect())
}

fn gather(root: &Path, below: &str, files: &mut BTreeMap<String, Origin>) -> Result<()> {
    for (name, path) in entries(root)? {
        let name = if below.is_empty() { name } else { format!("{below}/{name}") };
        if path.is_dir() {
            gather(&path, &name, files)?;
        } else {
            files.insert(name, Origin::Disk(path));
        }
    }
    Ok(())
}

fn entries(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let failed = |e| Error::path("read folder", root, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().into_string().map_err(|name| {
            Error::Definition(format!("{}: the name {} is not UTF-8", root.display(), name.display()))
        })?;
        if !is_hidden(&name) {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}
