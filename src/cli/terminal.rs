//! How the commands speak: results on stdout, talk on stderr, bars and colours only where a person looks.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::error::{Error, Result};

/// The two streams and what the user wants of them.
#[derive(Debug)]
pub(super) struct Terminal {
    quiet: bool,
    json: bool,
}

impl Terminal {
    pub(super) fn new(quiet: bool, json: bool) -> Self {
        Self { quiet, json }
    }

    pub(super) fn wants_json(&self) -> bool {
        self.json
    }

    /// A result: to stdout, whatever `--quiet` says.
    pub(super) fn print(text: impl Display) -> Result<()> {
        writeln!(io::stdout().lock(), "{text}").or_else(|e| closed_is_fine(&e))
    }

    /// A result for programs: to stdout.
    pub(super) fn print_json(value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|e| Error::Internal(format!("cannot write the result as JSON: {e}")))?;
        Self::print(text)
    }

    /// Talk: to stderr, unless `--quiet`. A closed stderr is nobody's loss.
    pub(super) fn say(&self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    pub(super) fn fail(error: &Error) {
        let _ = writeln!(io::stderr().lock(), "orgpulse: {error}");
    }

    /// A bar over bytes on a terminal; elsewhere it shows nothing.
    pub(super) fn bar(&self, what: &'static str, total: u64) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{msg:>10} [{bar:32}] {percent:>3} %  {elapsed}  left {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let bar = ProgressBar::new(total).with_style(style).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

// `orgpulse sql ... | head` closes our stdout early, and that is the reader's right.
fn closed_is_fine(error: &io::Error) -> Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Ok(())
    } else {
        Err(Error::Storage(format!("cannot write to stdout: {error}")))
    }
}

/// Rows of text as aligned columns: the first `text_columns` to the left, numbers to the right.
pub(super) fn align(rows: &[Vec<String>], text_columns: usize) -> String {
    align_by(rows, |column| column < text_columns)
}

/// Rows of text as aligned columns: those of text to the left, numbers to the right.
pub(super) fn align_by(rows: &[Vec<String>], is_text: impl Fn(usize) -> bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(place, (cell, &width))| {
            if is_text(place) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A count with thin grouping: 1234567 is `1,234,567`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size such as `1.4 MB` (binary steps).
pub(super) fn size(bytes: u64) -> String {
    let mut tenths = bytes.saturating_mul(10);
    for unit in ["B", "kB", "MB", "GB"] {
        if tenths < 10_240 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) };
        }
        tenths /= 1_024;
    }
    format!("{}.{} TB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 kB");
        assert_eq!(size(5 << 40), "5.0 TB");
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["file".to_owned(), "read".to_owned()], vec!["a".to_owned(), "12345".to_owned()]];
        assert_eq!(align(&rows, 1), "file   read\na     12345");
    }
}
