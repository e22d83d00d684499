//! What an edit did to a file beside its hunks: nothing, down to the ends of the lines.

use similar::{Algorithm, DiffOp, capture_diff_slices};

const MARK: &[u8] = "\u{feff}".as_bytes();

/// A line, and what it ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    let texts = |lines: &[Line<'_>]| lines.iter().map(|line| line.text.to_vec()).collect();
    let (before, after): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (texts(old), texts(new));
    let ends = |lines: &[Line<'_>], end| lines.iter().filter(|line| line.end == end).count();
    let usual = if ends(old, "\r\n") > ends(old, "\n") { "\r\n" } else { "\n" };
    let is_last = |at: usize, lines: &[Line<'_>]| at + 1 == lines.len();
    for op in capture_diff_slices(Algorithm::Myers, &before, &after) {
        if let DiffOp::Equal { old_index, new_index, len } = op {
            for (from, to) in (old_index..).zip(new_index..).take(len) {
                // The last line of a file gets an end where another comes behind it.
                let was_last = is_last(from, old) && old[from].end.is_empty();
                let gets_end = was_last && !is_last(to, new) && new[to].end == usual;
                if old[from].end != new[to].end && !gets_end {
                    wrong.push(format!("line {} ends in another way", to + 1));
                }
            }
        } else {
            for to in op.new_range() {
                let is_end = is_last(to, new) && new[to].end.is_empty();
                if new[to].end != usual && !is_end {
                    wrong.push(format!("the new line {} ends with {:?}", to + 1, new[to].end));
                }
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
