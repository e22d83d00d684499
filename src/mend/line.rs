//! Mends files that are lists of lines, at the line of a finding.

use super::recipe::Recipe;
use crate::check::finding::Place;
use crate::merge::text::{self, Insert};

/// The edit of a recipe; nothing where it does not fit.
#[must_use]
pub fn mend(recipe: &Recipe, text: &str, place: &Place) -> Option<Vec<Insert>> {
    let (pattern, becomes) = (recipe.line.as_ref()?, recipe.becomes.as_ref()?);
    let start: usize = text.split_inclusive('\n').take(place.line - 1).map(str::len).sum();
    let end = text::next_line(text, start);
    let line = text[start..end].trim_end_matches('\n');
    if pattern.find_iter(line).count() != 1 {
        return None;
    }
    let after = pattern.replace(line, becomes.as_str());
    if after.is_empty() {
        return Some(vec![Insert::replace(&(start..end), String::new())]);
    }
    Some(vec![Insert::replace(&(start..start + line.len()), after.into_owned())])
}
