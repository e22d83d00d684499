//! Scripts for a shell, Makefiles and scripts of manifests: which containers they start, which images they ship.

use super::compose::engine;
use super::workflow::read_command;
use super::{Backing, Delivery, Facts};
use crate::check::finding::Place;
use crate::check::lines::numbered;
use crate::check::sources::Sources;

/// Options of `docker run` that take no value.
const SWITCHES: [&str; 14] = [
    "--rm",
    "--detach",
    "--interactive",
    "--tty",
    "--init",
    "--privileged",
    "--publish-all",
    "--read-only",
    "--no-healthcheck",
    "--quiet",
    "--oom-kill-disable",
    "-P",
    "-q",
    "--sig-proxy",
];

/// Reads all of them.
pub fn read(sources: &Sources, facts: &mut Facts) {
    let (mut backing, mut deliveries) = (Vec::new(), Vec::new());
    let is_script = |name: &str| {
        matches!(name, "Makefile" | "justfile") || name.ends_with(".sh") || !name.contains('.')
    };
    for (path, source) in sources.named(is_script) {
        if !["docker ", "podman "].iter().any(|program| source.text.contains(program)) {
            continue;
        }
        let ships = source.text.contains("docker push");
        let mut shipped: Vec<Delivery> = Vec::new();
        for command in commands(&source.text) {
            let place = |line| Place::line(path.clone(), line);
            if let Some((line, image)) = started(&command) {
                let image = resolve(&source.text, image);
                if let Some((engine, version)) = engine(&image) {
                    backing.push(Backing { place: place(line), engine, version });
                }
            }
            let line = command.first().map_or(1, |(line, _)| *line);
            if ships {
                shipped.extend(read_command(&place(line), &join(&command)));
            }
        }
        deliveries.extend(shipped.into_iter().filter(|found| !found.tags.is_empty()));
    }
    for app in &facts.apps {
        for script in app.scripts.iter().filter(|script| script.command.contains("docker run")) {
            let words = script.command.split_whitespace();
            let command: Vec<_> = words.map(|word| (script.line, word)).collect();
            if let Some((_, (engine, version))) =
                started(&command).and_then(|(line, image)| Some((line, engine(image)?)))
            {
                let place = Place::line(app.manifest.clone(), script.line);
                backing.push(Backing { place, engine, version });
            }
        }
    }
    facts.backing.extend(backing);
    facts.deliveries.extend(deliveries);
}

/// The commands of a script, as words with their lines; one that ends in `\` goes on.
fn commands(text: &str) -> Vec<Vec<(usize, &str)>> {
    let mut commands: Vec<Vec<(usize, &str)>> = Vec::new();
    let mut goes_on = false;
    for (number, line) in numbered(text) {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        let words = line.trim_end_matches('\\').split_whitespace().map(|word| (number, word));
        match commands.last_mut().filter(|_| goes_on) {
            Some(last) => last.extend(words),
            None => commands.push(words.collect()),
        }
        goes_on = line.ends_with('\\');
    }
    commands
}

fn join(command: &[(usize, &str)]) -> String {
    command.iter().map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

/// The image that `docker run` starts, with the line on which it stands.
fn started<'t>(command: &[(usize, &'t str)]) -> Option<(usize, &'t str)> {
    let at = command
        .windows(2)
        .position(|pair| matches!(pair[0].1, "docker" | "podman") && pair[1].1 == "run")?;
    let mut words = command.iter().skip(at + 2);
    while let Some((line, word)) = words.next() {
        let Some(option) = word.strip_prefix('-') else {
            return Some((*line, word.trim_matches(['"', '\''])));
        };
        let is_long = option.starts_with('-');
        let is_switch = SWITCHES.contains(word)
            || word.contains('=')
            || !is_long && option.chars().all(|c| matches!(c, 'd' | 'i' | 't'));
        // A value may have blanks between its quotes.
        let value = if is_switch { *word } else { words.next()?.1 };
        if is_open(value) {
            words.find(|(_, word)| is_open(word))?;
        }
    }
    None
}

/// Whether a quote begins or ends in a word, and not both.
fn is_open(word: &str) -> bool {
    ['"', '\''].iter().any(|quote| word.matches(*quote).count() % 2 == 1)
}

/// `$NAME` as the script sets it.
fn resolve(text: &str, word: &str) -> String {
    let Some(name) = word.strip_prefix('$').map(|name| name.trim_matches(['{', '}'])) else {
        return word.to_owned();
    };
    let assigned = text.lines().find_map(|line| {
        let value = line.trim().strip_prefix(name)?.strip_prefix('=')?;
        Some(value.trim_matches(['"', '\'']))
    });
    assigned.unwrap_or(word).to_owned()
}
