//! A change as a unified diff.

use std::io::{self, Write};

use console::{Style, style};
use similar::TextDiff;

use crate::plan::Change;

const NULL: &str = "/dev/null";

/// Writes the diff of one change, in the form that `git apply` takes.
pub fn write(out: &mut impl Write, change: &Change) -> io::Result<()> {
    let path = &change.path;
    let before = change.before.as_ref().map_or(&[][..], |content| &content.bytes);
    let (Ok(old), Ok(new)) =
        (std::str::from_utf8(before), std::str::from_utf8(&change.after.bytes))
    else {
        return writeln!(out, "Binary files a/{path} and b/{path} differ");
    };
    let bold = Style::new().bold();
    writeln!(out, "{}", bold.apply_to(format_args!("diff --git a/{path} b/{path}")))?;
    let old_name = if change.before.is_some() {
        format!("a/{path}")
    } else {
        let mode = if change.after.executable { "100755" } else { "100644" };
        writeln!(out, "{}", bold.apply_to(format_args!("new file mode {mode}")))?;
        NULL.to_owned()
    };
    let diff = TextDiff::from_lines(old, new);
    let unified = diff.unified_diff().header(&old_name, &format!("b/{path}")).to_string();
    for line in unified.split_inclusive('\n') {
        let text = line.trim_end_matches('\n');
        let style = match text.as_bytes().first() {
            Some(b'+') => style(text).green(),
            Some(b'-') => style(text).red(),
            Some(b'@') => style(text).cyan(),
            _ => style(text),
        };
        writeln!(out, "{style}")?;
    }
    Ok(())
}
