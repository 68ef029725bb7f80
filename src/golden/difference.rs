//! The difference between two texts, line by line, for a person.

/// Equal lines shown around a change.
const CONTEXT: usize = 2;
/// Lines of a difference that are shown at most.
const SHOWN: usize = 60;
/// Beyond this many pairs of lines the shortest difference is not looked for.
const PAIRS: usize = 4_000_000;

/// What must go from `expected` (`-`) and what must come (`+`), with the lines around each change and their numbers in
/// `expected`. Empty if the texts are equal.
pub(super) fn difference(expected: &str, found: &str) -> String {
    if expected == found {
        return String::new();
    }
    let (old, new) = (lines(expected), lines(found));
    let edits = edits(&old, &new);
    let mut shown = Vec::new();
    let mut number = 0;
    let mut last_shown = None;
    for (place, (mark, line)) in edits.iter().enumerate() {
        number += usize::from(*mark != '+');
        let near = place.saturating_sub(CONTEXT)..(place + CONTEXT + 1).min(edits.len());
        if !edits.get(near).is_some_and(|near| near.iter().any(|(mark, _)| *mark != ' ')) {
            continue;
        }
        if last_shown.is_none_or(|last| last + 1 != place) {
            shown.push(format!("@ line {}", number.max(1)));
        }
        last_shown = Some(place);
        shown.push(format!("{mark}{line}"));
    }
    if shown.len() > SHOWN {
        let rest = shown.len() - SHOWN;
        shown.truncate(SHOWN);
        shown.push(format!("… and {rest} lines more"));
    }
    shown.join("\n")
}

// Line ends are part of what is compared, so a missing last one and a CR are made visible.
fn lines(text: &str) -> Vec<String> {
    let visible = |line: &str| match line.strip_suffix('\n') {
        Some(line) => line.replace('\r', "\\r"),
        None => format!("{}\\ no line end", line.replace('\r', "\\r")),
    };
    text.split_inclusive('\n').map(visible).collect()
}

fn edits<'a>(old: &'a [String], new: &'a [String]) -> Vec<(char, &'a str)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_middle, equal_tail) = old_rest.split_at(old_rest.len() - tail);
    let (new_middle, _) = new_rest.split_at(new_rest.len() - tail);
    let mut edits: Vec<(char, &str)> = old.iter().take(head).map(|line| (' ', line.as_str())).collect();
    edits.extend(middle(old_middle, new_middle));
    edits.extend(equal_tail.iter().map(|line| (' ', line.as_str())));
    edits
}

// By the longest common subsequence: `common[i][j]` is its length over the lines from i and j on.
fn middle<'a>(old: &'a [String], new: &'a [String]) -> Vec<(char, &'a str)> {
    let gone = |line: &'a String| ('-', line.as_str());
    let came = |line: &'a String| ('+', line.as_str());
    if old.len().saturating_mul(new.len()) > PAIRS {
        return old.iter().map(gone).chain(new.iter().map(came)).collect();
    }
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let (here, down, right) = (i * width + j, (i + 1) * width + j, i * width + j + 1);
            common[here] = if a == b { common[down + 1] + 1 } else { common[down].max(common[right]) };
        }
    }
    let mut edits = Vec::new();
    let (mut i, mut j) = (0, 0);
    while let (Some(a), Some(b)) = (old.get(i), new.get(j)) {
        if a == b {
            edits.push((' ', a.as_str()));
            (i, j) = (i + 1, j + 1);
        } else if common[(i + 1) * width + j] >= common[i * width + j + 1] {
            edits.push(gone(a));
            i += 1;
        } else {
            edits.push(came(b));
            j += 1;
        }
    }
    edits.extend(old.iter().skip(i).map(gone));
    edits.extend(new.iter().skip(j).map(came));
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: &str, found: &str, shown: &[&str]) {
        assert_eq!(difference(expected, found).lines().collect::<Vec<_>>(), shown, "{expected:?} against {found:?}");
    }

    #[test]
    fn a_change_is_shown_with_what_stands_around_it() {
        check("a\nb\n", "a\nb\n", &[]);
        check("a\nb\n", "a\nc\n", &["@ line 1", " a", "-b", "+c"]);
        check("", "a\n", &["@ line 1", "+a"]);
        check("a\n", "", &["@ line 1", "-a"]);
        check("1\n2\n3\n4\n5\n", "1\n2\n3\n4\n5\n6\n", &["@ line 4", " 4", " 5", "+6"]);
        check("1\n2\n3\n4\n5\n6\n", "1\n2\n4\n5\n6\n", &["@ line 1", " 1", " 2", "-3", " 4", " 5"]);
        check(
            "1\n2\n3\n4\n5\n6\n7\n8\n",
            "x\n2\n3\n4\n5\n6\n7\ny\n",
            &["@ line 1", "-1", "+x", " 2", " 3", "@ line 6", " 6", " 7", "-8", "+y"],
        );
        check("b\nc\n", "a\nb\nd\nc\n", &["@ line 1", "+a", " b", "+d", " c"]);
    }

    #[test]
    fn line_ends_are_visible() {
        check("a\n", "a", &["@ line 1", "-a", "+a\\ no line end"]);
        check("a\n", "a\r\n", &["@ line 1", "-a", "+a\\r"]);
    }

    #[test]
    fn a_long_difference_is_cut() {
        let many = (0..5_000).map(|n| format!("{n}\n")).collect::<Vec<_>>().concat();
        let others = (0..5_000).map(|n| format!("{n} \n")).collect::<Vec<_>>().concat();
        let shown = difference(&many, &others);
        assert_eq!(shown.lines().count(), SHOWN + 1);
        assert!(shown.ends_with("… and 9941 lines more"), "{shown}");
    }
}
