//! Random visits: the jobs against the model, and what always holds.

use arrow::array::RecordBatch;
use chrono::{Days, NaiveDate};
use orgpulse::frames::Frame;
use orgpulse::period::{WeekStart, day_of_date};
use proptest::prelude::*;

use super::{FRAME, Visit, date, growth, job, model, retention_of, rows_of, table};

/// A random case: visits in random order, some twice, some after the report day, cut into batches anywhere.
#[derive(Debug, Clone)]
struct Case {
    visits: Vec<Visit>,
    cut: usize,
    first: NaiveDate,
    as_of: NaiveDate,
    sunday: bool,
}

impl Case {
    fn frame(&self) -> Frame {
        Frame {
            first_day: day_of_date(self.first),
            as_of: day_of_date(self.as_of),
            week_start: if self.sunday { WeekStart::Sunday } else { WeekStart::Monday },
            ..FRAME
        }
    }

    fn asked(&self) -> model::Asked {
        model::Asked { first: self.first, as_of: self.as_of, sunday: self.sunday }
    }

    fn batches(&self) -> Vec<RecordBatch> {
        let (left, right) = self.visits.split_at(self.cut.min(self.visits.len()));
        vec![table(left), table(right)]
    }

    fn histories(&self, entity: &str) -> model::Histories {
        let mut histories = model::Histories::new();
        for (_, id, day) in self.visits.iter().filter(|visit| visit.0 == entity) {
            histories.entry(id.clone()).or_default().insert(*day);
        }
        histories
    }
}

/// The gaps between an id's days: mostly days and weeks, and those around the window of 28.
fn gaps() -> impl Strategy<Value = Vec<u64>> {
    let gap = prop_oneof![4 => 0..4_u64, 3 => 5..10_u64, 3 => 26..31_u64, 1 => 31..200_u64];
    prop::collection::vec(gap, 1..14)
}

fn cases() -> impl Strategy<Value = Case> {
    let entity = prop_oneof![Just("user"), Just("user"), Just("org"), Just("dag")];
    let histories = prop::collection::vec((entity, 0..150_u64, gaps()), 0..14);
    let order = any::<u64>();
    (0..800_u64, histories, prop_oneof![0..40_u64, 0..450_u64], any::<bool>(), order).prop_map(
        |(offset, histories, length, sunday, order)| {
            let first = date("2019-12-01") + Days::new(offset);
            let mut visits = Vec::new();
            for (number, (entity, joins, gaps)) in histories.into_iter().enumerate() {
                let mut day = first + Days::new(joins);
                for gap in gaps {
                    day = day + Days::new(gap);
                    visits.push((entity, format!("id-{number}"), day));
                }
            }
            let mixed = |visit: &Visit| {
                let text = format!("{}{}{}", visit.0, visit.1, visit.2);
                text.bytes().fold(order, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
            };
            visits.sort_by_key(mixed);
            let cut = usize::try_from(order % 50).expect("a small number");
            Case { visits, cut, first, as_of: first + Days::new(length), sunday }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn retention_is_what_its_words_say(case in cases()) {
        for entity in ["user", "org", "dag"] {
            let rows = rows_of(&retention_of(entity), &case.batches(), case.frame());
            prop_assert_eq!(rows, model::retention(&case.histories(entity), case.asked()));
        }
    }

    #[test]
    fn growth_is_what_its_words_say(case in cases()) {
        let rows = rows_of(&growth(), &case.batches(), case.frame());
        let entities = ["dag", "org", "user"].into_iter();
        let expected = entities.flat_map(|entity| model::growth(entity, &case.histories(entity), case.asked()));
        prop_assert_eq!(rows, expected.collect::<Vec<_>>());
    }

    #[test]
    fn trailing_activity_is_what_its_words_say(case in cases()) {
        let rows = rows_of(&job("name = 'trailing_activity'"), &case.batches(), case.frame());
        let entities = ["dag", "org", "user"].into_iter();
        let expected = entities.flat_map(|entity| model::trailing_activity(entity, &case.histories(entity), case.asked()));
        let mut expected: Vec<String> = expected.collect();
        expected.sort();
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn stickiness_is_what_its_words_say(case in cases()) {
        let rows = rows_of(&job("name = 'stickiness'"), &case.batches(), case.frame());
        let entities = ["dag", "org", "user"].into_iter();
        let expected = entities.flat_map(|entity| model::stickiness(entity, &case.histories(entity), case.asked()));
        prop_assert_eq!(rows, expected.collect::<Vec<_>>());
    }

    #[test]
    fn growth_adds_up(case in cases()) {
        let mut before = (String::new(), 0_i64);
        for row in rows_of(&growth(), &case.batches(), case.frame()) {
            let cells: Vec<&str> = row.split(',').collect();
            let series = cells[..2].join(",");
            let counts: Vec<i64> = cells[3..8].iter().map(|cell| cell.parse().expect("a count")).collect();
            let &[active, new, retained, resurrected, churned] = counts.as_slice() else { panic!("five counts") };
            let previous = if series == before.0 { before.1 } else { 0 };
            prop_assert!(counts.iter().all(|count| *count >= 0), "{}", row);
            prop_assert_eq!(active, new + retained + resurrected, "{}", row);
            prop_assert_eq!(active - previous, new + resurrected - churned, "{}", row);
            before = (series, active);
        }
    }

    #[test]
    fn retention_rates_are_shares(case in cases()) {
        for row in rows_of(&retention_of("user"), &case.batches(), case.frame()) {
            let cells: Vec<&str> = row.split(',').collect();
            if cells[9] == "false" {
                prop_assert!(cells[4..9].iter().all(|cell| cell.is_empty()), "{}", row);
                continue;
            }
            let count = |place: usize| cells[place].parse::<i64>().unwrap_or(0);
            prop_assert!(count(4) <= count(5) && count(5) <= count(3) && count(6) <= count(3), "{}", row);
            prop_assert!(["0", "1"].contains(&&cells[7][..1]) && ["0", "1"].contains(&&cells[8][..1]), "{}", row);
            prop_assert!(cells[7] <= "1.000000" && cells[8] <= "1.000000", "{}", row);
        }
    }
}
