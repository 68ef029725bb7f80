//! What is closest to a value that does not exist, for errors that help.

use super::Cell;

/// The values closest to one, closest first, at most `count`.
#[must_use]
pub fn nearest(wanted: &Cell, known: Vec<Cell>, count: usize) -> Vec<Cell> {
    let mut ranked: Vec<(u128, Cell)> = known.into_iter().map(|cell| (distance(wanted, &cell), cell)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(count).map(|(_, cell)| cell).collect()
}

fn distance(a: &Cell, b: &Cell) -> u128 {
    match (a, b) {
        (Cell::Day(a), Cell::Day(b)) => a.abs_diff(*b).into(),
        (Cell::Instant(a), Cell::Instant(b)) => a.abs_diff(*b).into(),
        (Cell::Number(a), Cell::Number(b)) => a.abs_diff(*b),
        (Cell::Text(a), Cell::Text(b)) => edits(a, b),
        _ => u128::MAX,
    }
}

// The number of characters to insert, remove or replace, whatever their case.
fn edits(a: &str, b: &str) -> u128 {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut row: Vec<u128> = (0..).take(b.len() + 1).collect();
    for (place, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = place as u128 + 1;
        for (column, to) in b.iter().enumerate() {
            let replaced = diagonal + u128::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
