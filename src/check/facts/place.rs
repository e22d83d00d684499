//! In which line of YAML a command stands that goes over several: a scalar's own line is that of its key.

use super::Facts;
use crate::check::finding::Place;
use crate::check::lines::numbered;
use crate::check::sources::Sources;

/// So many lines a command has at most.
const MAX_LINES: usize = 32;
/// So many words of it are looked for together.
const MAX_WORDS: usize = 4;

/// Moves the commands of what is run to the lines in which they begin.
pub fn settle(sources: &Sources, facts: &mut Facts) {
    for run in &mut facts.runs {
        let name = run.place.path.file_name();
        if !(name.ends_with(".yml") || name.ends_with(".yaml")) {
            continue;
        }
        let Some(source) = sources.get(&run.place.path) else { continue };
        let mut from = run.place.line;
        // What an image says, stands in another file.
        let own = run.steps.iter_mut().filter(|step| step.place.path == run.place.path);
        for step in own {
            if let Some(line) = find(&source.text, from, &step.text) {
                step.place = Place::line(step.place.path.clone(), line);
                from = line;
            }
        }
    }
}

/// The line, from one on, that has the first words of a command; rather more of them than few.
fn find(text: &str, from: usize, command: &str) -> Option<usize> {
    let words: Vec<&str> = command.split_whitespace().take(MAX_WORDS).collect();
    (1..=words.len()).rev().find_map(|count| {
        let start = words[..count].join(" ");
        let mut lines = numbered(text).skip(from.saturating_sub(1)).take(MAX_LINES);
        lines.find(|(_, line)| line.contains(&start)).map(|(number, _)| number)
    })
}
