//! Owns the shape of a text: byte-order mark, line endings, final newline, lines and their indent.

use std::ops::Range;

const BOM: char = '\u{feff}';

/// Text to put in at a byte offset of the text without carriage returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insert {
    pub at: usize,
    /// How many bytes it takes the place of; a merge only ever adds.
    pub replaces: usize,
    /// Of the texts for one offset, the one of lower rank comes first, and else the one given first.
    pub rank: usize,
    pub text: String,
}

impl Insert {
    pub const fn new(at: usize, text: String) -> Self {
        Self { at, replaces: 0, rank: 0, text }
    }

    /// Text in the place of another.
    pub const fn replace(span: &Range<usize>, text: String) -> Self {
        Self { at: span.start, replaces: span.end - span.start, rank: 0, text }
    }

    /// Whether two cannot both be made.
    pub fn clashes(&self, other: &Self) -> bool {
        let (mine, others) =
            (self.at..self.at + self.replaces, other.at..other.at + other.replaces);
        mine.start < others.end && others.start < mine.end
    }
}

/// A file as plain lines, with what is needed to write it back byte for byte.
#[derive(Debug)]
pub struct Text {
    lines: String,
    bom: bool,
    /// Offsets in `lines` of each newline that a carriage return precedes in the file.
    returns: Vec<usize>,
    crlf: bool,
    unfinished: bool,
}

impl Text {
    /// Reads a file, or says why it is not a text whose lines can be kept.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
        let (text, bom) = match text.strip_prefix(BOM) {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let mut lines = String::with_capacity(text.len() + 1);
        let mut returns = Vec::new();
        for line in text.split_inclusive('\n') {
            if let Some(body) = line.strip_suffix("\r\n") {
                lines.push_str(body);
                returns.push(lines.len());
                lines.push('\n');
            } else {
                lines.push_str(line);
            }
        }
        if let Some(at) = lines.find('\r') {
            return Err(format!(
                "line {}: a carriage return stands outside a line ending",
                line_number(&lines, at)
            ));
        }
        let crlf = returns.len() * 2 > lines.matches('\n').count();
        let unfinished = !lines.is_empty() && !lines.ends_with('\n');
        if unfinished {
            lines.push('\n');
        }
        Ok(Self { lines, bom, returns, crlf, unfinished })
    }

    /// The text without byte-order mark and carriage returns, its last line finished.
    pub fn lines(&self) -> &str {
        &self.lines
    }

    /// The file with `inserts` in it and everything else as it was.
    pub fn write(&self, mut inserts: Vec<Insert>) -> String {
        inserts.sort_by_key(|insert| (insert.at, insert.rank));
        let ending = if self.crlf { "\r\n" } else { "\n" };
        let mut file = String::with_capacity(self.lines.len() * 2);
        if self.bom {
            file.push(BOM);
        }
        let mut from = 0;
        for insert in &inserts {
            self.copy(from, insert.at, &mut file);
            file.push_str(&insert.text.replace('\n', ending));
            from = insert.at + insert.replaces;
        }
        self.copy(from, self.lines.len(), &mut file);
        if self.unfinished {
            file.truncate(file.strip_suffix(ending).map_or(file.len(), str::len));
        }
        file
    }

    fn copy(&self, from: usize, to: usize, file: &mut String) {
        let added = self.unfinished.then(|| self.lines.len() - 1);
        let mut at = from;
        for line in self.lines[from..to].split_inclusive('\n') {
            at += line.len();
            let Some(body) = line.strip_suffix('\n') else {
                file.push_str(line);
                continue;
            };
            file.push_str(body);
            let newline = at - 1;
            let returned = self.returns.binary_search(&newline).is_ok()
                || (self.crlf && added == Some(newline));
            file.push_str(if returned { "\r\n" } else { "\n" });
        }
    }
}

/// Whether `part` is what remains of `whole` when some bytes are taken out of it.
pub fn is_kept(part: &str, whole: &str) -> bool {
    let mut rest = whole.bytes();
    part.bytes().all(|byte| rest.any(|other| other == byte))
}

/// The number of the line that holds `at`, from 1.
pub fn line_number(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Where the line of that number starts, from 1; the end where there are not so many.
pub fn numbered_line(text: &str, number: usize) -> usize {
    text.split_inclusive('\n').take(number - 1).map(str::len).sum()
}

/// Where the line that holds `at` starts.
pub fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Where the line that ends in or after `at` ends, its newline included; a line start stays.
pub fn line_end(text: &str, at: usize) -> usize {
    if at > 0 && text[..at].ends_with('\n') {
        return at;
    }
    next_line(text, at)
}

/// Where the line after the one that holds `at` starts.
pub fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// The blank characters that the line which holds `at` starts with.
pub fn indent(text: &str, at: usize) -> &str {
    let line = &text[line_start(text, at)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Whether nothing but blanks stands before `at` on its line.
pub fn starts_line(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at].trim().is_empty()
}

/// Whether the line before the line start `at` is blank.
pub fn follows_blank(text: &str, at: usize) -> bool {
    text[..at]
        .strip_suffix('\n')
        .is_some_and(|before| before[line_start(before, before.len())..].trim().is_empty())
}

/// Where the `#` comment lines directly above the line start `at` begin, not above `floor`.
pub fn comments_above(text: &str, mut at: usize, floor: usize) -> usize {
    while at > floor {
        let above = line_start(text, at - 1);
        if above < floor || !text[above..].trim_start_matches([' ', '\t']).starts_with('#') {
            break;
        }
        at = above;
    }
    at
}

/// Where the `#` comment lines directly below the line start `at` end, which `indent` deep or more.
pub fn comments_below(text: &str, mut at: usize, depth: usize) -> usize {
    while text[at..].trim_start_matches([' ', '\t']).starts_with('#')
        && indent(text, at).len() >= depth
    {
        at = next_line(text, at);
    }
    at
}
