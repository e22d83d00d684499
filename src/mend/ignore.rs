//! Takes the lock of a service out of what git ignores: the line goes that names it, with the comment that is about
//! it; below a pattern for more than that comes an exception.

use super::Edits;
use crate::check::finding::Place;
use crate::check::sources::folder_of;
use crate::error::Result;
use crate::lock;
use crate::merge::text::{self, Insert};
use crate::tree::Tree;

/// What is done at the line of a finding; nothing where it is not about the lock that the service would have.
///
/// # Errors
/// The table of package managers is broken: a defect of this build.
pub fn mend(tree: &Tree, text: &str, place: &Place) -> Result<Option<Edits>> {
    let Some(lock) = lock::find_wanted(tree, folder_of(&place.path))? else { return Ok(None) };
    Ok(unignore(text, place.line, &lock)
        .map(|edit| Edits { edits: vec![edit], ..Edits::default() }))
}

fn unignore(text: &str, number: usize, lock: &str) -> Option<Insert> {
    let start = text::numbered_line(text, number);
    let end = text::next_line(text, start);
    let pattern = text[start..end].trim();
    let name = pattern.trim_start_matches("**/").trim_start_matches('/');
    if name != lock {
        let covers = name.strip_prefix('*').is_some_and(|rest| lock.ends_with(rest));
        return covers.then(|| Insert::new(end, format!("!{lock}\n")));
    }
    let above = text::comments_above(text, start, 0);
    let is_last = text[end..].lines().next().is_none_or(|next| next.trim().is_empty());
    let about_it = text[above..start].find(lock).map(|at| text::line_start(text, above + at));
    // A comment above several lines is about the others, too.
    let Some(from) = about_it.filter(|_| is_last) else {
        return Some(Insert::replace(&(start..end), String::new()));
    };
    let is_apart = text::follows_blank(text, from) || from == 0;
    let to = if is_apart && end < text.len() { text::next_line(text, end) } else { end };
    Some(Insert::replace(&(from..to), String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::text::Text;

    fn without(text: &str, number: usize, lock: &str) -> Option<String> {
        let file = Text::read(text.as_bytes()).unwrap();
        let edit = unignore(file.lines(), number, lock)?;
        Some(file.write(vec![edit]))
    }

    #[test]
    fn the_line_goes_with_the_comment_that_is_about_it() {
        for (before, number, after) in [
            ("target/\nCargo.lock\n.env\n", 2, "target/\n.env\n"),
            ("target/\n/Cargo.lock", 2, "target/"),
            (
                "target/\n\n# Leave out Cargo.lock\n# as here:\nCargo.lock\n\n.env\n",
                5,
                "target/\n\n.env\n",
            ),
            ("# Rust\n# Cargo.lock is for binaries\nCargo.lock\n\n.env\n", 3, "# Rust\n\n.env\n"),
            ("# Not Cargo.lock\nCargo.lock\ntarget/\n", 2, "# Not Cargo.lock\ntarget/\n"),
            ("# Rust\nCargo.lock\n\n.env\n", 2, "# Rust\n\n.env\n"),
        ] {
            assert_eq!(without(before, number, "Cargo.lock").as_deref(), Some(after), "{before}");
        }
    }

    #[test]
    fn what_ignores_more_has_an_exception() {
        assert_eq!(
            without("dist/\n*.lock\n*.map\n", 2, "Cargo.lock").as_deref(),
            Some("dist/\n*.lock\n!Cargo.lock\n*.map\n")
        );
        assert_eq!(without("*.lock", 1, "uv.lock").as_deref(), Some("*.lock\n!uv.lock"));
    }

    #[test]
    fn the_lock_of_another_manager_stays_ignored() {
        assert_eq!(without("yarn.lock\n", 1, "package-lock.json"), None);
        assert_eq!(without("*.lock\n", 1, "package-lock.json"), None);
    }
}
