//! The house rules that a program can check: imports go down the floors, files are short, modules say what they own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const MAX_LINES: usize = 600;

/// A file of `src/` with the module that it belongs to.
struct Source {
    path: String,
    module: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    gather(&Path::new(ROOT).join("src"), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let relative = path.strip_prefix(ROOT).expect("below the root").to_str().expect("UTF-8").to_owned();
        let below = relative.strip_prefix("src/").expect("below src");
        let module = below.split('/').next().expect("a part").trim_end_matches(".rs").to_owned();
        Source { module, text: fs::read_to_string(&path).expect("UTF-8"), path: relative }
    };
    paths.into_iter().map(read).collect()
}

fn gather(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The floors of the table in `docs/architecture.md`.
fn floors() -> BTreeMap<String, u32> {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/architecture.md")).expect("the page");
    let mut floors = BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, floor, module, owns, _] = cells.as_slice() else { continue };
        let Ok(floor) = floor.parse() else { continue };
        assert!(!owns.is_empty(), "{module} owns nothing");
        let before = floors.insert(module.trim_matches('`').to_owned(), floor);
        assert!(before.is_none(), "{module} stands in the table twice");
    }
    floors
}

/// Code without comments and without its tests, which may say what they like.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The modules that a text names as `crate::module` or `crate::{module, …}`.
fn imports(text: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (start, _) in text.match_indices("crate::") {
        let before = text[..start].chars().next_back();
        if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &text[start + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(top_level(list).into_iter().map(|item| name(item.trim()))),
            None => {
                found.insert(name(rest));
            }
        }
    }
    found.remove("");
    found
}

/// The items of a braced list, up to its closing brace.
fn top_level(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (place, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                items.push(&list[start..place]);
                start = place + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    items
}

#[test]
fn the_page_names_exactly_the_modules_that_exist() {
    let mut modules: BTreeSet<_> = sources().into_iter().map(|source| source.module).collect();
    modules.remove("lib");
    let named: BTreeSet<_> = floors().into_keys().collect();
    assert_eq!(named, modules, "left: docs/architecture.md, right: src/");
}

#[test]
fn imports_go_down_the_floors() {
    let floors = floors();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module != "lib") {
        // `main` is another crate and sees the library by its name.
        let text = code(&source.text).replace("orgpulse::", "crate::");
        for import in imports(&text).iter().filter(|import| **import != source.module) {
            match (floors.get(&source.module), floors.get(import)) {
                (Some(own), Some(other)) if other < own => {}
                _ => wrong.push(format!("{} imports `{import}`", source.path)),
            }
        }
    }
    assert!(wrong.is_empty(), "only floors below may be imported:\n{}", wrong.join("\n"));
}

#[test]
fn files_are_short() {
    let long = |source: &Source| source.text.lines().count() > MAX_LINES;
    let long: Vec<_> = sources().into_iter().filter(long).map(|source| source.path).collect();
    assert!(long.is_empty(), "over {MAX_LINES} lines: {long:?}");
}

#[test]
fn modules_open_with_what_they_own() {
    let silent: Vec<_> = sources().into_iter().filter(|s| !s.text.starts_with("//! ")).map(|s| s.path).collect();
    assert!(silent.is_empty(), "the first line is no `//! …`: {silent:?}");
}

#[test]
fn only_tests_unwrap() {
    let is_test = |source: &Source| source.path.ends_with("/tests.rs");
    let unwraps = |source: &Source| code(&source.text).contains(".unwrap()");
    let found: Vec<_> = sources().into_iter().filter(|s| !is_test(s) && unwraps(s)).map(|s| s.path).collect();
    assert!(found.is_empty(), "unwrap() outside tests: {found:?}");
}

#[test]
fn the_reader_of_imports_sees_all_forms() {
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(imports(&code(text)).iter().map(String::as_str).collect::<Vec<_>>(), expected, "{text}");
    };
    check("use crate::error::{Error, Result};", &["error"]);
    check("use crate::{event, store::{self, Store}, period::Day};", &["event", "period", "store"]);
    check("let a = crate::report::publish();", &["report"]);
    check("pub(in crate::store) fn a() {}", &["store"]);
    check("// crate::error\nuse other_crate::error;", &[]);
    check("use crate::seal;\n#[cfg(test)]\nmod tests { use crate::cli; }", &["seal"]);
}
