//! Attributes that hold from a day on, turned into spans that never overlap.

use crate::period::Day;

use super::rows::Place;

/// 0001-01-01: the beginning, for a row that names none.
pub(super) const BEGINNING: Day = -719_162;
/// 9999-12-31: the end, for a row that is still valid.
pub(super) const END: Day = 2_932_896;

/// Attributes of one id, valid on each day from `valid_from` to `valid_until`.
#[derive(Debug)]
pub(super) struct Span<T> {
    pub(super) id: String,
    pub(super) valid_from: Day,
    pub(super) valid_until: Day,
    place: Place,
    pub(super) attributes: T,
}

/// Spans by id and day from rows in file order: a row holds until the next one of its id begins, a row without a day
/// from the beginning, and of two rows that begin on one day the later in the file wins; `replaced` is told of both.
pub(super) fn resolve<T>(
    mut rows: Vec<(String, Option<Day>, Place, T)>,
    mut replaced: impl FnMut(&str, Place, Place),
) -> Vec<Span<T>> {
    // A stable sort keeps rows of one day in file order.
    rows.sort_by(|a, b| (&a.0, a.1.unwrap_or(BEGINNING)).cmp(&(&b.0, b.1.unwrap_or(BEGINNING))));
    let mut spans: Vec<Span<T>> = Vec::with_capacity(rows.len());
    for (id, from, place, attributes) in rows {
        let valid_from = from.unwrap_or(BEGINNING);
        match spans.last_mut() {
            Some(last) if last.id == id && last.valid_from == valid_from => {
                replaced(&id, last.place, place);
                (last.place, last.attributes) = (place, attributes);
                continue;
            }
            Some(last) if last.id == id => last.valid_until = valid_from - 1,
            _ => {}
        }
        spans.push(Span { id, valid_from, valid_until: END, place, attributes });
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_touch_and_the_later_row_wins() {
        let row = |id: &str, from, value| (id.to_owned(), from, Place::line(value), value);
        let rows = vec![row("a", Some(20), 1), row("b", None, 2), row("a", Some(10), 3), row("a", Some(20), 4)];
        let mut told = Vec::new();
        let spans = resolve(rows, |id, earlier, later| told.push(format!("{id}: {later} over {earlier}")));
        assert_eq!(told, ["a: line 4 over line 1"]);
        let brief: Vec<_> = spans.iter().map(|s| (s.id.as_str(), s.valid_from, s.valid_until, s.attributes)).collect();
        assert_eq!(brief, [("a", 10, 19, 3), ("a", 20, END, 4), ("b", BEGINNING, END, 2)]);
    }
}
