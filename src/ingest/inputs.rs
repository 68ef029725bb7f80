//! Which files an ingest reads, in which order, and as what: folders, globs, names, and the sources of the settings.
//! It does not read the files, except for streams, which are copied to a file first.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::settings::{IngestSettings, LogFormat, SourceSettings};

use super::bytes::spool;
use super::{Found, Input};

const HOW_TO_NAME: &str = "name it .jsonl, .csv or .parquet (also with .gz or .zst behind), \
                           or add an `[[ingest.source]]` with `match` and `format`";

/// A file to read.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// Where its bytes are.
    pub(super) path: PathBuf,
    /// What people call it.
    pub(super) label: String,
    pub(super) format: LogFormat,
    /// The first source of the settings that matches its name.
    pub(super) settings: Option<&'a SourceSettings>,
    // Removed when the file has been read.
    _copy: Option<NamedTempFile>,
}

/// The files of all inputs, in ingest order, and what was passed over.
pub(super) fn sources<'a>(
    settings: &'a IngestSettings,
    inputs: &[Input],
    work_folder: &Path,
) -> Result<(Vec<Source<'a>>, Vec<PathBuf>)> {
    let mut sources = Vec::new();
    let mut passed_over = Vec::new();
    for input in inputs {
        match input {
            Input::Stdin(format) => {
                let stream = io::stdin().lock();
                sources.push(stream_source(stream, Path::new("-"), *format, settings, work_folder)?);
            }
            Input::Path(path) => {
                let found = find(path, settings)?;
                for path in found.files {
                    sources.push(file_source(&path, settings, work_folder)?);
                }
                passed_over.extend(found.passed_over);
            }
        }
    }
    Ok((sources, passed_over))
}

/// The files that a path names: itself, the files of a folder, or the matches of a glob.
pub fn find(path: &str, settings: &IngestSettings) -> Result<Found> {
    let given = Path::new(path);
    let mut found = Vec::new();
    if given.is_dir() {
        walk(given, &mut Vec::new(), &mut found)?;
        sort_below(&mut found, given);
    } else if given.exists() {
        return Ok(Found { files: vec![given.to_owned()], passed_over: Vec::new() });
    } else if path.contains(['*', '?', '[']) {
        // To the glob crate a `**` at the end is folders only; people mean everything in them.
        let pattern = if path.ends_with("/**") { format!("{path}/*") } else { path.to_owned() };
        let matches = glob::glob(&pattern).map_err(|e| Error::Usage(format!("`{path}` is not a glob: {e}")))?;
        for entry in matches {
            let entry = entry.map_err(|e| Error::path("read", e.path(), e.error()))?;
            if entry.is_dir() { walk(&entry, &mut Vec::new(), &mut found)? } else { found.push((entry, false)) }
        }
        sort_below(&mut found, &fixed_root(given));
        // A glob such as `logs/**` names a folder and what is in it.
        found.dedup();
    } else {
        return Err(Error::Usage(format!("{path}: there is no such file or folder")));
    }
    let (files, passed_over) = found.into_iter().partition::<Vec<_>, _>(|(path, is_hidden)| {
        let name = file_name(path);
        let by_setting = source_settings(settings, &name).is_some_and(|source| source.format.is_some());
        // A pipe would be waited for without end, and a link that leads nowhere is no log.
        path.is_file() && (by_setting || (!is_hidden && !name.starts_with('.') && format_by_name(&name).is_some()))
    });
    let paths = |entries: Vec<(PathBuf, bool)>| entries.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let found = Found { files: paths(files), passed_over: paths(passed_over) };
    if found.files.is_empty() {
        let passed_over = found.passed_over.len();
        return Err(Error::Usage(format!(
            "{path}: no log found, passed_over={passed_over}; to read a file, {HOW_TO_NAME}"
        )));
    }
    Ok(found)
}

fn file_source<'a>(path: &Path, settings: &'a IngestSettings, work_folder: &Path) -> Result<Source<'a>> {
    let name = file_name(path);
    let matching = source_settings(settings, &name);
    let format = format_by_name(&name)
        .or(matching.and_then(|source| source.format))
        .ok_or_else(|| Error::Usage(format!("{}: the name tells no format; {HOW_TO_NAME}", path.display())))?;
    let is_stream = !fs::metadata(path).map_err(|e| Error::path("read", path, e))?.is_file();
    if is_stream {
        let stream = fs::File::open(path).map_err(|e| Error::path("read", path, e))?;
        return stream_source(stream, path, format, settings, work_folder);
    }
    Ok(Source { path: path.to_owned(), label: path.display().to_string(), format, settings: matching, _copy: None })
}

// A stream may be read twice, once for its checksum; so it becomes a file.
fn stream_source<'a>(
    stream: impl io::Read,
    path: &Path,
    format: LogFormat,
    settings: &'a IngestSettings,
    work_folder: &Path,
) -> Result<Source<'a>> {
    let copy = spool(stream, work_folder)?;
    Ok(Source {
        path: copy.path().to_owned(),
        label: path.display().to_string(),
        format,
        settings: source_settings(settings, &file_name(path)),
        _copy: Some(copy),
    })
}

fn source_settings<'a>(settings: &'a IngestSettings, name: &str) -> Option<&'a SourceSettings> {
    settings.sources.iter().find(|source| source.pattern.0.matches(name))
}

fn format_by_name(name: &str) -> Option<LogFormat> {
    let name = name.to_ascii_lowercase();
    let name = [".gz", ".zst", ".zstd"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "jsonl" | "ndjson" | "json" => Some(LogFormat::Jsonl),
        "csv" => Some(LogFormat::Csv),
        "parquet" => Some(LogFormat::Parquet),
        _ => None,
    }
}

// Everything in a folder that is no folder, and whether something on the way to it is hidden. Hidden folders are listed
// as one. A link back to a folder that is being walked is not followed.
fn walk(folder: &Path, above: &mut Vec<PathBuf>, found: &mut Vec<(PathBuf, bool)>) -> Result<()> {
    let failed = |e: io::Error| Error::path("read folder", folder, e);
    let real = folder.canonicalize().map_err(failed)?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_hidden = file_name(&path).starts_with('.');
        if path.is_dir() && !is_hidden { walk(&path, above, found)? } else { found.push((path, is_hidden)) }
    }
    above.pop();
    Ok(())
}

fn sort_below(found: &mut [(PathBuf, bool)], root: &Path) {
    found.sort_by_cached_key(|(path, _)| {
        let below = path.strip_prefix(root).unwrap_or(path);
        let parts: Vec<&[u8]> = below.components().map(|part| part.as_os_str().as_encoded_bytes()).collect();
        parts.join(&b'/')
    });
}

// The folders of a glob before the first part that is a pattern.
fn fixed_root(pattern: &Path) -> PathBuf {
    let is_fixed =
        |part: &Component| !part.as_os_str().as_encoded_bytes().iter().any(|b| matches!(b, b'*' | b'?' | b'['));
    pattern.components().take_while(is_fixed).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_else(|| OsStr::new("-")).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, "").expect("a file");
        }
        folder
    }

    fn below(folder: &Path, paths: &[PathBuf]) -> Vec<String> {
        let below = |path: &PathBuf| path.strip_prefix(folder).expect("in the folder").display().to_string();
        paths.iter().map(below).collect()
    }

    fn check(files: &[&str], pattern: &str, settings: &str, expected: &[&str], passed_over: &[&str]) {
        let folder = folder(files);
        let settings = Settings::parse(settings).expect("settings");
        let path = folder.path().join(pattern);
        let found = find(&path.display().to_string(), &settings.ingest).expect("files");
        assert_eq!(below(folder.path(), &found.files), expected, "{pattern}");
        assert_eq!(below(folder.path(), &found.passed_over), passed_over, "{pattern}");
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_its_paths_bytes() {
        check(
            &["b.csv", "a/z.jsonl", "a-b/x.parquet", "a.ndjson.gz", "B.CSV.ZST", "é.json", "z.json"],
            "",
            "",
            &["B.CSV.ZST", "a-b/x.parquet", "a.ndjson.gz", "a/z.jsonl", "b.csv", "z.json", "é.json"],
            &[],
        );
    }

    #[test]
    fn unknown_and_hidden_names_are_passed_over() {
        let files = ["a.csv", "notes.txt", ".b.csv", "c.log", ".git/d.csv", "csv", "e.gz"];
        check(&files, "", "", &["a.csv"], &[".b.csv", ".git", "c.log", "csv", "e.gz", "notes.txt"]);
        let settings = "[[ingest.source]]\nmatch = \"*.log\"\nformat = \"jsonl\"\n\
                        [[ingest.source]]\nmatch = \".b*\"\nformat = \"csv\"\n";
        check(&files, "", settings, &[".b.csv", "a.csv", "c.log"], &[".git", "csv", "e.gz", "notes.txt"]);
    }

    #[test]
    fn a_glob_is_sorted_below_its_root() {
        let files = ["2026/b.csv", "2026/a/c.csv", "2026-x/a.csv", "2027/a.csv", "2026/n.txt"];
        check(&files, "2026*/*.csv", "", &["2026-x/a.csv", "2026/b.csv"], &[]);
        check(&files, "2026*", "", &["2026-x/a.csv", "2026/a/c.csv", "2026/b.csv"], &["2026/n.txt"]);
        check(&files, "2026/**", "", &["2026/a/c.csv", "2026/b.csv"], &["2026/n.txt"]);
        check(&files, "2026/**/*.csv", "", &["2026/a/c.csv", "2026/b.csv"], &[]);
        check(&["a[1].csv", "a1.csv"], "a[1].csv", "", &["a[1].csv"], &[]);
    }

    #[test]
    fn nothing_to_read_is_a_wrong_use() {
        let folder = folder(&["notes.txt", "empty/x.txt"]);
        for (path, part) in [("absent", "no such"), ("empty", "passed_over=1"), ("*.csv", "no log"), ("[", "glob")] {
            let path = folder.path().join(path).display().to_string();
            let error = find(&path, &IngestSettings::default()).expect_err("nothing");
            assert_eq!(error.exit_code(), 2, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
        let file = Input::Path(folder.path().join("notes.txt").display().to_string());
        let error = sources(&IngestSettings::default(), &[file], folder.path()).expect_err("no format");
        assert_eq!(error.exit_code(), 2, "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_its_own_folder_ends() {
        let folder = folder(&["a/b.csv"]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/up")).expect("a link");
        let found = find(&folder.path().display().to_string(), &IngestSettings::default()).expect("files");
        assert_eq!(below(folder.path(), &found.files), ["a/b.csv"]);
    }
}
