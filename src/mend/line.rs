//! Mends files that are lists of lines, at the line of a finding, with those that a `\` continues it by.

use regex::Regex;

use super::Edits;
use super::recipe::{Also, Recipe};
use crate::check::finding::Place;
use crate::merge::text::{self, Insert};

/// What a recipe does; nothing where it does not fit.
#[must_use]
pub fn mend(recipe: &Recipe, text: &str, place: &Place) -> Option<Edits> {
    let (pattern, becomes) = (recipe.line.as_ref()?, recipe.becomes.as_ref()?);
    let mut start = text::numbered_line(text, place.line);
    while text[..start].ends_with("\\\n") {
        start = text::line_start(text, start - 1);
    }
    let mut end = text::next_line(text, start);
    while text[start..end].trim_end_matches('\n').ends_with('\\') && end < text.len() {
        end = text::next_line(text, end);
    }
    let line = text[start..end].trim_end_matches('\n');
    let mut found = pattern.captures_iter(line);
    let (Some(captures), None) = (found.next(), found.next()) else { return None };
    let expand = |template: &str| {
        let mut expanded = String::new();
        captures.expand(template, &mut expanded);
        expanded
    };
    let variables =
        recipe.variables.iter().map(|(name, example)| (expand(name), expand(example))).collect();
    let after = pattern.replace(line, becomes.as_str());
    let edit = if after.is_empty() {
        Insert::replace(&(start..end), String::new())
    } else {
        narrow(start, line, &after)
    };
    let mut edits = vec![edit];
    edits.extend(mend_others(recipe, text, captures.name("image").map(|image| image.as_str())));
    if !recipe.also_lines.is_empty() && edits.len() == 1 {
        return None;
    }
    edits.extend(recipe.also.iter().filter_map(|also| replace_once(text, also)));
    Some(Edits { edits, variables })
}

/// What becomes of the lines that go with the first, where they name the same image.
fn mend_others(recipe: &Recipe, text: &str, image: Option<&str>) -> Vec<Insert> {
    let mut edits = Vec::new();
    let mut start = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end_matches('\n');
        for also in &recipe.also_lines {
            let Some(captures) = also.line.captures(line) else { continue };
            let named = captures.name("image").map(|image| image.as_str());
            if image.is_none() || named.is_none() || image == named {
                edits.push(narrow(start, line, &also.line.replace(line, also.becomes.as_str())));
            }
        }
        start += whole.len();
    }
    edits
}

/// What else becomes of a line, where only one is like that.
fn replace_once(text: &str, also: &Also) -> Option<Insert> {
    let pattern = Regex::new(&format!("(?m){}", also.at.as_str()?)).ok()?;
    let mut found = pattern.captures_iter(text);
    let (Some(captures), None) = (found.next(), found.next()) else { return None };
    let line = captures.get(0)?;
    let mut after = String::new();
    captures.expand(&also.replace, &mut after);
    Some(narrow(line.start(), line.as_str(), &after))
}

/// What makes one text of the other and touches no more than differs, so that two may change the same line.
fn narrow(start: usize, before: &str, after: &str) -> Insert {
    let same = |(a, b): &((usize, char), (usize, char))| a.1 == b.1;
    let head: usize = before
        .char_indices()
        .zip(after.char_indices())
        .take_while(same)
        .map(|((_, character), _)| character.len_utf8())
        .sum();
    let tail: usize = before[head..]
        .chars()
        .rev()
        .zip(after[head..].chars().rev())
        .take_while(|(a, b)| a == b)
        .map(|(character, _)| character.len_utf8())
        .sum();
    let changed = start + head..start + before.len() - tail;
    Insert::replace(&changed, after[head..after.len() - tail].to_owned())
}
