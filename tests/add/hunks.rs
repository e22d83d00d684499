//! What an edit did to a file beside its hunks: nothing, down to the ends of the lines.

use similar::{Algorithm, DiffOp, capture_diff_slices};

const MARK: &[u8] = "\u{feff}".as_bytes();

/// A line, and what it ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Line<'b> {
    text: &'b [u8],
    end: &'static str,
}

/// What of `new` is not as it was in `old`, or not as its lines are.
pub fn compare(old: &[u8], new: &[u8]) -> impl Iterator<Item = String> {
    let mut wrong = Vec::new();
    if old != new {
        if old.starts_with(MARK) != new.starts_with(MARK) {
            wrong.push("a byte order mark came or went".to_owned());
        }
        let (old, new) = (split(old), split(new));
        wrong.extend(compare_lines(&old, &new));
    }
    wrong.into_iter()
}

fn compare_lines(old: &[Line<'_>], new: &[Line<'_>]) -> Vec<String> {
    let mut wrong = Vec::new();
    let count = |end| old.iter().filter(|line| line.end == end).count();
    let usual = if count("\r\n") > count("\n") { "\r\n" } else { "\n" };
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let gone = old.get(op.old_range()).unwrap_or_default();
        for at in op.new_range() {
            let (line, is_last) = (new[at], at + 1 == new.len());
            // A line in the place of another ends as that one did, and the last of a file perhaps in nothing.
            let fits = line.end == usual
                || gone.iter().any(|other| other.end == line.end)
                || is_last && line.end.is_empty();
            let mut twins = gone.iter().filter(|other| other.text == line.text).peekable();
            // The last line of a file gets an end where another comes behind it.
            let is_kept = twins.peek().is_none()
                || twins
                    .any(|twin| twin.end == line.end || twin.end.is_empty() && line.end == usual);
            if !fits || !is_kept {
                wrong.push(format!("line {} ends with {:?}", at + 1, line.end));
            }
        }
    }
    let has_end = |lines: &[Line<'_>]| lines.last().is_none_or(|line| !line.end.is_empty());
    if has_end(old) != has_end(new) {
        wrong.push("a final newline came or went".to_owned());
    }
    wrong
}

fn split(bytes: &[u8]) -> Vec<Line<'_>> {
    let lines = bytes.strip_prefix(MARK).unwrap_or(bytes).split_inclusive(|byte| *byte == b'\n');
    lines.map(end).collect()
}

fn end(line: &[u8]) -> Line<'_> {
    match line {
        [text @ .., b'\r', b'\n'] => Line { text, end: "\r\n" },
        [text @ .., b'\n'] => Line { text, end: "\n" },
        text => Line { text, end: "" },
    }
}
