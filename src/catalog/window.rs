//! How far a result looks beyond its own days, as `query.toml` says it.
//! It does not know which files hold which days.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::definition::{Column, ColumnType, Source};
use crate::error::Result;
use crate::frames::Job;

/// The days of its inputs that a result depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Whether the result is computed month by month, by the date in its first column; otherwise at once, for the report day.
    pub by_month: bool,
    /// How many days after its month a row may depend on.
    pub ahead: i32,
    // Of tables that are not named below.
    back: Option<i32>,
    back_of: BTreeMap<String, Option<i32>>,
}

/// What `query.toml` says of it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number of days, `all`, or a table with one of these for names of `reads`")]
pub(super) enum LooksBack {
    Same(Back),
    Each(BTreeMap<String, Back>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number of days, or `all`")]
pub(super) enum Back {
    Days(u16),
    Word(String),
}

impl Window {
    /// How many days of a table before its month, or before the report day, a row may depend on; `None` = all of them.
    #[must_use]
    pub fn back(&self, table: &str) -> Option<i32> {
        self.back_of.get(table).copied().unwrap_or(self.back)
    }
}

/// The keys that a window is written with.
pub(super) struct Written<'a> {
    pub(super) each: Option<&'a Spanned<String>>,
    pub(super) looks_back: Option<&'a Spanned<LooksBack>>,
    pub(super) looks_ahead: Option<&'a Spanned<u16>>,
    pub(super) reads: &'a [String],
}

/// Reads the window of a result with these columns and this key.
pub(super) fn read(source: &Source<'_>, written: &Written<'_>, columns: &[Column], key: &[String]) -> Result<Window> {
    if let Some(each) = written.each {
        if each.get_ref() != "month" {
            let message = format!("each=`{}` is not known; results are kept by `month`", each.get_ref());
            return Err(source.refuse(&each.span(), &message));
        }
        let first = columns.first().filter(|first| key.first() == Some(&first.name));
        if first.is_none_or(|first| first.kind != ColumnType::Date || first.optional) {
            let message = "each=`month` needs a date that is never empty as the first column and first in the key";
            return Err(source.refuse(&each.span(), message));
        }
    } else if let Some(ahead) = written.looks_ahead {
        return Err(source.refuse(&ahead.span(), "`looks_ahead` is for a query with each=`month`"));
    }
    let by_month = written.each.is_some();
    let ahead = written.looks_ahead.map_or(0, |days| i32::from(*days.get_ref()));
    let days = |back: &Back, span| match back {
        Back::Days(days) => Ok(Some(i32::from(*days))),
        Back::Word(word) if word == "all" => Ok(None),
        Back::Word(word) => {
            let message = format!("looks_back=`{word}` is not known; write a number of days, or `all`");
            Err(source.refuse(&span, &message))
        }
    };
    // Without a word a month depends on itself, and a whole result on all there is.
    let (mut back, mut back_of) = (by_month.then_some(0), BTreeMap::new());
    match written.looks_back.map(|back| (back.get_ref(), back.span())) {
        None => {}
        Some((LooksBack::Same(same), span)) => back = days(same, span)?,
        Some((LooksBack::Each(tables), span)) => {
            for (table, of_table) in tables {
                if !written.reads.contains(table) {
                    return Err(source.refuse(&span, &format!("looks_back: `{table}` is not among `reads`")));
                }
                back_of.insert(table.clone(), days(of_table, span.clone())?);
            }
        }
    }
    Ok(Window { by_month, ahead, back, back_of })
}

/// Refuses a window that does not fit a job, which knows how far its rows look back.
pub(super) fn check_job(source: &Source<'_>, written: &Written<'_>, window: &Window, job: &Job) -> Result<()> {
    let refuse = |span: Range<usize>, what: &str| Err(source.refuse(&span, &format!("a job `{}` {what}", job.name())));
    match (written.each, job.looks_back(), written.looks_back) {
        (Some(each), None, _) => refuse(each.span(), "needs the whole history; take `each` out"),
        (None, _, Some(back)) => refuse(back.span(), "without `each` computes all days; take `looks_back` out"),
        (_, _, Some(back)) if matches!(back.get_ref(), LooksBack::Each(_)) => {
            refuse(back.span(), "looks back as far in all that it reads; write one number of days")
        }
        (Some(each), Some(needed), _) if window.back.is_some_and(|seen| seen < needed) => {
            refuse(each.span(), &format!("with these keys needs looks_back={needed} or more"))
        }
        _ => Ok(()),
    }
}
