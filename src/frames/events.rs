//! Jobs over chosen events: conditions in SQL, read as one expression each, and the queries that turn the events into
//! activity calendars of the job's own, in the columns of `activity_calendar`. It writes SQL and runs none.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Value, visit_expressions};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::keys::{Step, Within};
use crate::period::{Day, format_day};

/// The tables that these queries read: events, and what tells which of them count.
pub(super) const READS: &[&str] = &["events", "excluded_actions", "excluded_apps", "users"];

/// The entity of an event table under which the days of starts stand.
pub(super) const START: &str = "start";

/// Which events count, as conditions in SQL that [`predicate`] gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Events {
    /// Events that do not meet it are not looked at.
    pub(super) filter: Option<String>,
    /// Which of them make an entity a member of a cohort.
    pub(super) start: Option<String>,
    /// Which of them are a return.
    pub(super) returns: Option<String>,
    /// How many returns a period needs to count as one.
    pub(super) least: u32,
}

impl Events {
    /// Every human event: what activity calendars hold.
    pub(super) const ALL: Self = Self { filter: None, start: None, returns: None, least: 1 };

    /// The conditions with the keys that they stand under.
    pub(super) fn conditions(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let keys = [("filter", &self.filter), ("start", &self.start), ("return", &self.returns)];
        keys.into_iter().filter_map(|(key, condition)| Some((key, condition.as_deref()?)))
    }

    /// The entity of an event table under which the days of returns stand that count for periods of this length.
    pub(super) fn returns_of(&self, step: Step) -> String {
        match step {
            Step::Trailing(_) => self.returns_of(Step::Day),
            step if self.least > 1 => format!("return by {}", step.label()),
            _ => "return".to_owned(),
        }
    }

    /// A table with a row for each month, kind of day (a return for one of the steps, a start if they are asked for) and id
    /// of an entity, with those days as bits. Of a period with enough returns it is the first day with one.
    pub(super) fn by_day(&self, entity: &str, steps: &[Step], origin: Option<Day>, with_starts: bool) -> String {
        let mut periods = BTreeMap::new();
        for step in steps.iter().filter(|step| **step != Step::Hours24) {
            let period = if self.least == 1 { "day".to_owned() } else { period_sql(*step, origin) };
            periods.insert(self.returns_of(*step), period);
        }
        let whens = periods.iter().map(|(kind, period)| format!("WHEN '{kind}' THEN {period}"));
        let whens = whens.collect::<Vec<_>>().join(" ");
        let kinds = periods.keys().map(String::as_str).chain(with_starts.then_some(START));
        let kinds = kinds.map(|kind| format!("'{kind}'")).collect::<Vec<_>>().join(", ");
        // Everything is grouped, nothing looks through a window: groups spill to disk.
        format!(
            "{event},
counted AS (
    SELECT id, day, count(*) FILTER (WHERE starts) AS starts, count(*) FILTER (WHERE returns) AS returns
    FROM event
    GROUP BY id, day
),
spread AS (
    SELECT id, day, starts, returns, unnest(make_array({kinds})) AS entity
    FROM counted
),
marked AS (
    SELECT id, entity, min(day) AS day
    FROM spread
    WHERE CASE entity WHEN '{START}' THEN starts ELSE returns END > 0
    GROUP BY id, entity, CASE entity {whens} ELSE day END
    HAVING entity = '{START}' OR sum(returns) >= {least}
)
{BITS}",
            event = self.event_sql(entity),
            least = self.least,
        )
    }

    /// The same for windows of 24 hours from each id's first start: its n-th window stands under the n-th day after the
    /// local day of that start, which is the only start.
    pub(super) fn by_window(&self, entity: &str, (from, until): Within) -> String {
        let bound = |day: Option<Day>, compare: &str| {
            day.map_or_else(String::new, |day| format!(" AND day {compare} DATE '{}'", format_day(day)))
        };
        format!(
            "{event},
anchor AS (
    SELECT id, min(ts) AS began
    FROM event
    WHERE starts{from}{until}
    GROUP BY id
),
counted AS (
    SELECT
        event.id,
        cast(to_char(anchor.began AT TIME ZONE $time_zone, '%Y-%m-%d') AS DATE) AS start_day,
        {NUMBER} AS number,
        count(*) FILTER (WHERE event.returns) AS returns
    FROM event
    INNER JOIN anchor ON anchor.id = event.id
    WHERE event.ts >= anchor.began
    GROUP BY event.id, anchor.began, {NUMBER}
),
marked AS (
    -- Where days have 25 hours, a window that is not over may have the number of a day that is still to come.
    SELECT
        id,
        least(start_day + number, $as_of) AS day,
        unnest(make_array(
            CASE WHEN number = 0 THEN '{START}' END,
            CASE WHEN returns >= {least} THEN '{kind}' END
        )) AS entity
    FROM counted
)
{BITS}",
            event = self.event_sql(entity),
            from = bound(from, ">="),
            until = bound(until, "<="),
            least = self.least,
            kind = self.returns_of(Step::Hours24),
        )
    }

    // The human events of an entity, and which of them are starts and returns.
    fn event_sql(&self, entity: &str) -> String {
        let or_true = |condition: &Option<String>| condition.clone().unwrap_or_else(|| "true".to_owned());
        format!(
            "{HUMAN},
chosen AS (
    SELECT
        {entity}_id AS id,
        day,
        ts,
        coalesce({start}, false) AS starts,
        coalesce({returns}, false) AS returns
    FROM human
    WHERE {entity}_id <> '' AND {filter}
),
event AS (
    SELECT id, day, ts, starts, returns
    FROM chosen
    WHERE starts OR returns
)",
            start = or_true(&self.start),
            returns = or_true(&self.returns),
            filter = or_true(&self.filter),
        )
    }
}

/// The columns of events that a condition can name, and only human events; as in the rollup `user_day`.
const HUMAN: &str = "WITH human AS (
    SELECT
        e.event_id, e.day, e.ts, e.user_id, e.org_id, e.app_id, e.action, e.duration_ms, e.concurrent_id, e.extra
    FROM events AS e
    LEFT JOIN excluded_actions AS excluded_action ON excluded_action.action = e.action
    LEFT JOIN excluded_apps AS excluded_app ON excluded_app.app_id = e.app_id
    LEFT JOIN users AS account ON account.user_id = e.user_id
    WHERE
        e.user_id <> ''
        AND e.day <= $as_of
        AND excluded_action.action IS NULL
        AND excluded_app.app_id IS NULL
        AND NOT coalesce(account.is_internal, false)
)";

/// The last step of each query: the days of a month as bits.
const BITS: &str = "SELECT
    period_start('month', day, 'monday') AS month,
    entity,
    id,
    bit_or(day_bit(day)) AS days
FROM marked
WHERE entity IS NOT NULL
GROUP BY period_start('month', day, 'monday'), entity, id
ORDER BY month, entity, id";

/// The number of an event's window of 24 hours.
const NUMBER: &str = "(cast(event.ts AS BIGINT) - cast(anchor.began AS BIGINT)) / 86400000000";

// The first day of a day's period.
fn period_sql(step: Step, origin: Option<Day>) -> String {
    match step {
        Step::Day | Step::Trailing(_) | Step::Hours24 => "day".to_owned(),
        Step::Week => "period_start('week', day, $week_start)".to_owned(),
        Step::Month => "period_start('month', day, 'monday')".to_owned(),
        Step::Days(length) => {
            let origin = origin.map_or_else(|| "$first_day".to_owned(), |day| format!("DATE '{}'", format_day(day)));
            format!("day - ((day - {origin}) % {length} + {length}) % {length}")
        }
    }
}

/// Reads a condition as one expression over the columns of an event, and writes it as this module's SQL can hold it; or
/// says why it is none.
pub(super) fn predicate(text: &str) -> Result<String, String> {
    let parsed = Parser::new(&GenericDialect {}).try_with_sql(text).and_then(|mut parser| {
        let expression = parser.parse_expr()?;
        Ok((expression, parser.next_token().token))
    });
    let (expression, rest) = parsed.map_err(|error| format!("is not a condition in SQL: {error}"))?;
    if rest != Token::EOF {
        return Err(format!("is not one condition in SQL: `{rest}` follows after `{expression}`"));
    }
    let foreign = visit_expressions(&expression, |part| match foreign(part) {
        Some(what) => ControlFlow::Break(what),
        None => ControlFlow::Continue(()),
    });
    match foreign {
        ControlFlow::Break(what) => Err(format!("is not a condition over one event: {what}")),
        ControlFlow::Continue(()) => Ok(format!("({expression})")),
    }
}

fn foreign(part: &Expr) -> Option<String> {
    match part {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            Some(format!("`{part}` looks at other rows"))
        }
        Expr::Function(function) if function.over.is_some() => Some(format!("`{part}` looks at other rows")),
        Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
            Some(format!("`{part}` is a parameter, and conditions have none"))
        }
        Expr::CompoundIdentifier(_) => Some(format!("`{part}`: write the column's name alone")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_written_as_they_were_read() {
        assert_eq!(predicate("action = 'a' or duration_ms>5").as_deref(), Ok("(action = 'a' OR duration_ms > 5)"));
        assert_eq!(predicate("action = 'it''s' -- done").as_deref(), Ok("(action = 'it''s')"));
        assert_eq!(predicate("extra is not null").as_deref(), Ok("(extra IS NOT NULL)"));
    }

    fn check_refused(text: &str, expected: &str) {
        let why = predicate(text).expect_err("must be refused");
        assert!(why.contains(expected), "{text}: {why}");
    }

    #[test]
    fn what_is_not_one_condition_over_one_event_is_refused() {
        check_refused("", "is not a condition in SQL");
        check_refused("action =", "is not a condition in SQL");
        check_refused("true) OR (true", "`)` follows after `true`");
        check_refused("true; DROP TABLE events", "`;` follows after `true`");
        check_refused("true UNION SELECT 1", "`UNION` follows after `true`");
        check_refused("action = 'a' AS x", "`AS` follows after");
        check_refused("user_id IN (SELECT user_id FROM users)", "looks at other rows");
        check_refused("EXISTS (SELECT 1)", "looks at other rows");
        check_refused("(SELECT max(ts) FROM events) = ts", "looks at other rows");
        check_refused("row_number() OVER (ORDER BY ts) = 1", "looks at other rows");
        check_refused("day = $as_of", "conditions have none");
        check_refused("e.action = 'a'", "name alone");
    }
}
