//! A change as a unified diff, byte for byte what `git apply` takes.

use std::fmt::Write as _;

use console::{Style, style};
use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices, group_diff_ops};

use crate::tree::Content;

const CONTEXT: usize = 3;
const NULL: &str = "/dev/null";
const NO_NEWLINE: &[u8] = b"\\ No newline at end of file\n";

/// The diff of one file, from what it is to what it becomes; none of them is a file that is not there.
pub fn patch(path: &str, before: Option<&Content>, after: Option<&Content>) -> Vec<u8> {
    let (old_name, new_name) = (quote(&format!("a/{path}")), quote(&format!("b/{path}")));
    let mut head = format!("diff --git {old_name} {new_name}\n");
    // Writing to a string does not fail.
    let _ = match (before, after) {
        (None, Some(after)) => writeln!(head, "new file mode {}", mode(after)),
        (Some(before), None) => writeln!(head, "deleted file mode {}", mode(before)),
        (Some(before), Some(after)) if before.executable != after.executable => {
            writeln!(head, "old mode {}\nnew mode {}", mode(before), mode(after))
        }
        _ => Ok(()),
    };
    let lines = |content: Option<&Content>| -> Vec<Vec<u8>> {
        let bytes = content.map_or(&[][..], |content| &content.bytes);
        bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    };
    let (old, new) = (lines(before), lines(after));
    let groups = group_diff_ops(capture_diff_slices(Algorithm::Myers, &old, &new), CONTEXT);
    if !groups.is_empty() {
        let name = |content: Option<&Content>, name| if content.is_some() { name } else { NULL };
        let old_name = end_name(name(before, &old_name));
        let new_name = end_name(name(after, &new_name));
        let _ = write!(head, "--- {old_name}\n+++ {new_name}\n");
    }
    let mut out = head.into_bytes();
    for group in groups {
        write_hunk(&mut out, &group, &old, &new);
    }
    out
}

/// The same for a terminal.
pub fn coloured(patch: &[u8]) -> String {
    let mut out = String::new();
    for line in String::from_utf8_lossy(patch).lines() {
        let text = match line.as_bytes().first() {
            _ if line.starts_with("diff ") || line.starts_with("new file") => style(line).bold(),
            Some(b'+') => style(line).green(),
            Some(b'-') => style(line).red(),
            Some(b'@') => style(line).cyan(),
            _ => Style::new().apply_to(line),
        };
        let _ = writeln!(out, "{text}");
    }
    out
}

fn write_hunk(out: &mut Vec<u8>, group: &[DiffOp], old: &[Vec<u8>], new: &[Vec<u8>]) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
    let old_range = range(first.old_range().start, last.old_range().end);
    let new_range = range(first.new_range().start, last.new_range().end);
    out.extend_from_slice(format!("@@ -{old_range} +{new_range} @@\n").as_bytes());
    for op in group {
        let is_equal = op.tag() == DiffTag::Equal;
        if is_equal {
            write_lines(out, b' ', &old[op.old_range()]);
        } else {
            write_lines(out, b'-', &old[op.old_range()]);
            write_lines(out, b'+', &new[op.new_range()]);
        }
    }
}

fn write_lines(out: &mut Vec<u8>, sign: u8, lines: &[Vec<u8>]) {
    for line in lines {
        out.push(sign);
        out.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            out.push(b'\n');
            out.extend_from_slice(NO_NEWLINE);
        }
    }
}

/// The first line, counted from one, and how many; an empty range names the line before it.
fn range(start: usize, end: usize) -> String {
    let count = end - start;
    format!("{},{count}", if count == 0 { start } else { start + 1 })
}

const fn mode(content: &Content) -> &'static str {
    if content.executable { "100755" } else { "100644" }
}

/// A name as git writes one that a line could not hold as it is.
fn quote(name: &str) -> String {
    if !name.contains(|letter: char| letter.is_control() || letter == '"') {
        return name.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in name.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            letter if letter.is_control() => {
                for byte in letter.to_string().bytes() {
                    let _ = write!(quoted, "\\{byte:03o}");
                }
            }
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

/// A tab ends a name that has blanks: what follows it would be a date.
fn end_name(name: &str) -> String {
    if name.contains(' ') && !name.starts_with('"') { format!("{name}\t") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn lay(root: &Path, path: &str, content: Option<&Content>) {
        let Some(content) = content else { return };
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &content.bytes).unwrap();
        let mode = if content.executable { 0o755 } else { 0o644 };
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn read(root: &Path, path: &str) -> Option<Content> {
        let file = root.join(path);
        let executable = file.metadata().ok()?.permissions().mode() & 0o111 != 0;
        Some(Content { bytes: fs::read(file).unwrap(), executable })
    }

    /// Lines as they end in the wild, also within a line, and the last one with or without an end.
    fn any_content() -> impl Strategy<Value = Option<Content>> {
        let line = prop::sample::select(vec![
            &b"a\n"[..],
            b"b\n",
            b"a\r\n",
            b"\n",
            b"a\rb\n",
            b"\xff\n",
            b" \t\n",
            b"\xef\xbb\xbfa\n",
            b"-- a\n",
        ]);
        let last = prop::sample::select(vec![&b""[..], b"a", b"a\r", b"\\ No"]);
        let content = (prop::collection::vec(line, 0..24), last, any::<bool>()).prop_map(
            |(lines, last, executable)| Content {
                bytes: [lines.concat(), last.to_vec()].concat(),
                executable,
            },
        );
        prop::option::weighted(0.8, content)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() })]

        #[test]
        fn git_applies_any_patch_to_the_byte(
            before in any_content(),
            after in any_content(),
            path in prop::sample::select(vec!["a", "a b", "d e/.f g", "\u{e9}", "a\"b", "a\tb", "b/a\nb", "a b\"", "a "]),
        ) {
            prop_assume!(before != after);
            let root = tempfile::tempdir().unwrap();
            lay(root.path(), path, before.as_ref());
            let file = root.path().join("the.patch");
            fs::write(&file, patch(path, before.as_ref(), after.as_ref())).unwrap();
            let applied = Command::new("git")
                .args(["apply", "--whitespace=nowarn", "the.patch"])
                .env("GIT_CEILING_DIRECTORIES", root.path().parent().unwrap())
                .current_dir(root.path())
                .output()
                .unwrap();
            let patch = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
            prop_assert!(applied.status.success(), "{:?}\n{}", applied, patch);
            prop_assert_eq!(read(root.path(), path), after, "{}", patch);
        }
    }
}
