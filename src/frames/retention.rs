//! The cohort tables of one entity: who of those that started in a period came back, by the lengths of periods asked for.
//! It does not know what being active means.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::TimeDelta;
use polars::prelude::{DataType, Expr, LazyFrame, NULL, PolarsResult, UnionArgs, col, concat, lit, when};

use super::answer::{self, Kind, Shape, column, counts};
use super::events::Events;
use super::keys::{Keys, Read, Step, Within};
use super::{Frame, Histories};
use crate::calendar::{Age, Periods, Starts, retention};
use crate::error::Result;
use crate::period::{Day, day_start, format_day, local_day};

pub(super) const KEYS: &[&str] = &[
    "entity",
    "cohort",
    "from",
    "until",
    "grains",
    "origin",
    "returning",
    "rates",
    "filter",
    "start",
    "return",
    "min_events",
];

const GRAINS: &str = "day, week, month, 24h, and a number of days such as 21d";

/// What a retention table is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Retention {
    pub(super) entity: &'static str,
    recurring: bool,
    /// The days on which a start counts.
    pub(super) within: Within,
    /// The lengths of periods, each with its last period.
    pub(super) steps: Vec<(Step, u32)>,
    pub(super) origin: Option<Day>,
    returning: Vec<Returning>,
    rates: Vec<Returning>,
    pub(super) events: Option<Events>,
}

/// When a member must have been seen to count as retained in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Returning {
    On,
    OnOrAfter,
    OnOrBefore,
}

impl Returning {
    const ALL: [(&str, Self); 3] =
        [("on", Self::On), ("on_or_after", Self::OnOrAfter), ("on_or_before", Self::OnOrBefore)];

    fn rate(self) -> Shape<'static> {
        let (name, above) = match self {
            Self::On => ("on_rate", "on"),
            Self::OnOrAfter => ("on_or_after_rate", "on_or_after"),
            Self::OnOrBefore => ("on_or_before_rate", "on_or_before"),
        };
        (name, Kind::Rate { above, below: "cohort_size" }, true)
    }
}

impl Retention {
    pub(super) fn read(keys: &Keys<'_>) -> Read<Self> {
        let cohorts = [("first_ever", (false, false)), ("first_in_range", (false, true)), ("recurring", (true, true))];
        let (recurring, ranged) = keys.word("cohort", &cohorts, Some((false, false)))?;
        let default = [(Step::Day, 30), (Step::Week, 26), (Step::Month, 12)];
        let is_allowed = |step: Step| !matches!(step, Step::Trailing(_));
        let steps = keys.steps_with_last(GRAINS, is_allowed, &default)?;
        let windows = steps.iter().any(|(step, _)| *step == Step::Hours24);
        if recurring && windows {
            let what = "has no windows of 24 hours, which begin with one start; take the grain day";
            return Err(keys.refuse("cohort", what));
        }
        let within = (keys.day("from")?, keys.day("until")?);
        if let Some(key) = ["from", "until"].into_iter().find(|key| !ranged && keys.has(key)) {
            return Err(keys.refuse(key, "is for cohort=`first_in_range` and cohort=`recurring`"));
        }
        if let (Some(from), Some(until)) = within
            && until < from
        {
            return Err(keys.refuse("until", &format!("is before from=`{}`", format_day(from))));
        }
        let events = keys.events(windows)?;
        let mut returning = keys.words("returning", &Returning::ALL, Returning::ALL.map(|(_, it)| it).to_vec())?;
        let mut rates = keys.words("rates", &Returning::ALL, returning.clone())?;
        let in_order = |it: &Returning| Returning::ALL.iter().position(|(_, known)| known == it);
        returning.sort_by_key(in_order);
        rates.sort_by_key(in_order);
        Ok(Self {
            entity: keys.entity(events.is_some())?,
            recurring,
            within,
            origin: keys.origin(steps.iter().map(|(step, _)| *step))?,
            steps,
            returning,
            rates,
            events,
        })
    }

    /// The columns of the table.
    pub(super) fn schema(&self) -> SchemaRef {
        answer::schema(&self.columns())
    }

    fn columns(&self) -> Vec<Shape<'static>> {
        let mut columns = vec![
            ("grain", Kind::Text, false),
            ("cohort", Kind::Date, false),
            ("period", Kind::Integer, false),
            ("cohort_size", Kind::Integer, false),
        ];
        let counted = Returning::ALL.iter().filter(|(_, it)| self.returning.contains(it));
        columns.extend(counted.map(|(name, _)| (*name, Kind::Integer, true)));
        columns.extend(self.rates.iter().map(|it| it.rate()));
        columns.extend([("is_complete", Kind::Boolean, false), ("mature_on", Kind::Date, false)]);
        columns
    }

    /// The table.
    pub(super) fn run(&self, histories: impl Fn(Step) -> Result<Histories>, frame: Frame) -> Result<RecordBatch> {
        let mut grains = Vec::new();
        for &(step, last) in &self.steps {
            let histories = histories(step)?;
            let periods = Periods::new(step.grain(self.origin, frame), histories.starts.range());
            let counted = self.count(&histories, &periods, (step, last), frame)?;
            grains.push(counted.with_column(lit(step.label()).alias("grain")));
        }
        let all = concat(grains, UnionArgs::default()).and_then(|all| cells(all, frame));
        answer::collect(all, &self.columns())
    }

    /// What happened to each cohort at each age up to the period that holds the report day.
    fn count(
        &self,
        histories: &Histories,
        periods: &Periods,
        (step, last): (Step, u32),
        frame: Frame,
    ) -> Result<LazyFrame> {
        // Windows of 24 hours were made for the first start within these days, which is the only one there.
        let (from, until) = if step == Step::Hours24 { Within::default() } else { self.within };
        let which =
            Starts { from: from.unwrap_or(Day::MIN), until: until.unwrap_or(Day::MAX), recurring: self.recurring };
        let cohorts = retention(&histories.starts, &histories.returns, which, periods, last as usize);
        let mut rows: Vec<Row> = Vec::new();
        for (cohort, number) in cohorts.iter().zip(0..).filter(|(cohort, _)| cohort.size > 0) {
            let observed = periods.count() - usize::try_from(number).unwrap_or(0);
            for (&age, period) in cohort.ages.iter().zip(0..).take(observed) {
                let begins = periods.first_day(number);
                let mature_on = match step {
                    Step::Hours24 => window_end(begins, period, frame),
                    _ => periods.last_day(number + period),
                };
                rows.push(Row { cohort: begins, period, size: cohort.size, seen_ever: cohort.seen, age, mature_on });
            }
        }
        let ids = |value: fn(&Row) -> u64| counts(rows.iter().map(value));
        let days = |value: fn(&Row) -> Day| rows.iter().map(value).collect::<Vec<_>>();
        answer::frame(vec![
            column("cohort", days(|row| row.cohort)),
            column("period", rows.iter().map(|row| row.period).collect::<Vec<_>>()),
            column("mature_on", days(|row| row.mature_on)),
            column("cohort_size", ids(|row| row.size)),
            column("seen_ever", ids(|row| row.seen_ever)),
            column("seen", ids(|row| row.age.seen)),
            column("last", ids(|row| row.age.last)),
            column("returned", ids(|row| row.age.returned)),
        ])
    }
}

struct Row {
    cohort: Day,
    period: i64,
    size: u64,
    seen_ever: u64,
    age: Age,
    mature_on: Day,
}

// The local day on which the window of someone ends who started with the last instant of the cohort's day.
fn window_end(cohort: Day, period: i64, frame: Frame) -> Day {
    let length = TimeDelta::hours(24 * (period + 1)) - TimeDelta::microseconds(1);
    local_day(frame.time_zone, day_start(frame.time_zone, cohort + 1) + length)
}

/// From ids at each age to the cells of the table: sums over the ages of a cohort, empty until the period is over.
fn cells(counted: LazyFrame, frame: Frame) -> PolarsResult<LazyFrame> {
    let cohort = [col("grain"), col("cohort")];
    let over = |value: Expr| value.over(&cohort);
    let gone_before = over(col("last").cum_sum(false) - col("last"))?;
    let complete = |value: Expr| when(col("is_complete")).then(value).otherwise(lit(NULL).cast(DataType::Int64));
    let not_first = when(col("period").gt(lit(0))).then(col("back")).otherwise(lit(NULL).cast(DataType::Int64));
    Ok(counted
        .sort_by_exprs([col("grain"), col("cohort"), col("period")], answer::in_order())
        .with_columns([
            gone_before.alias("gone_before"),
            over(col("returned").cum_sum(false))?.alias("back"),
            col("mature_on").lt_eq(lit(frame.as_of)).alias("is_complete"),
        ])
        .with_columns([
            complete(col("seen")).alias("on"),
            complete(col("seen_ever") - col("gone_before")).alias("on_or_after"),
            complete(not_first).alias("on_or_before"),
        ]))
}
