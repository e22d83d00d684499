//! Takes what is to run once out of the command that serves, and has it run before the release instead.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::recipe::Once;
use super::shot::{self, Call};
use super::{Revision, read};
use crate::check::document::{self, Node};
use crate::check::facts::compose::{image_paths, is_compose_name};
use crate::check::facts::image::Image;
use crate::check::finding::Place;
use crate::check::sources::{folder_of, is_image_name};
use crate::merge::text::{self, Insert};
use crate::merge::{self, Format};
use crate::tree::{RepoPath, Tree};

/// A shell that is told what to run, up to the quote that this begins with.
#[expect(clippy::unwrap_used, reason = "the pattern is constant")]
static SHELL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?:^|[\s"'/\[,])(?:ba|da|a)?sh["']?\s*,?\s*(?:-\s+)?["']?-[el]*c["']?\s*,?\s*(?:-\s+)?(["'])"#,
    )
    .unwrap()
});
/// What stands in a script for the sake of a migration alone.
#[expect(clippy::unwrap_used, reason = "the pattern is constant")]
static ANNOUNCES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(?:#[^!]|echo ).*(?i:migrat|database|schema)").unwrap());
/// What starts images where nothing here could tell it to run something before.
const FOREIGN_STARTERS: [&str; 6] = [
    "render.yaml",
    "heroku.yml",
    ".do/app.yaml",
    "railway.json",
    "railway.toml",
    "captain-definition",
];

impl Revision {
    fn say_where(&mut self, call: &Call, has_home: bool) {
        let command = call.line();
        self.remark = Some(if has_home {
            format!(
                "Nothing runs `{command}` at every start any more: compose runs it before; elsewhere it is to run before a release."
            )
        } else {
            format!(
                "Nothing runs `{command}` at every start any more: run it in the new release, before that is started."
            )
        });
    }
}

/// What a recipe does to the command at a place; nothing where it does not fit.
#[must_use]
pub fn mend(tree: &Tree, once: &Once, place: &Place) -> Option<Revision> {
    let file = read(tree, &place.path)?;
    let text = file.lines();
    let name = place.path.file_name();
    if name.starts_with("Procfile") {
        mend_procfile(once, text, place)
    } else if is_image_name(name) {
        mend_image(tree, once, text, place)
    } else if is_compose_name(name) {
        mend_compose(once, text, place)
    } else if name == "package.json" {
        mend_manifest(tree, once, text, place)
    } else {
        mend_script(tree, once, text, place)
    }
}

/// The steps of a command that are to run once.
struct Taken {
    call: Call,
    /// What is cut out of the text.
    cuts: Vec<Insert>,
    /// What is left of the command.
    rest: Vec<String>,
}

/// What is taken out of the command at `span`.
fn take(once: &Once, text: &str, span: Range<usize>) -> Option<Taken> {
    let steps = split(text, span)?;
    let said: Vec<String> = steps.iter().map(|step| unfold(&text[step.clone()])).collect();
    let is_task = |at: &usize| once.task.is_match(&said[*at]);
    let tasks: Vec<usize> = (0..steps.len()).filter(is_task).collect();
    let (last_task, last) = (*tasks.last()?, steps.len() - 1);
    if last_task == last {
        return None;
    }
    let mut call = Call::default();
    for step in &said[..=last_task] {
        if once.task.is_match(step) || once.needs.is_match(step) {
            call.steps.push(step.clone());
        } else if !once.beside.is_match(step) {
            return None;
        }
    }
    let cuts = tasks
        .iter()
        .map(|&at| Insert::replace(&(steps[at].start..steps[at + 1].start), String::new()));
    let cuts = cuts.collect();
    let rest = (0..=last).filter(|at| !tasks.contains(at)).map(|at| said[at].clone()).collect();
    Some(Taken { call, cuts, rest })
}

/// The commands that stand one after another; nothing where a shell does more with them than that.
fn split(text: &str, span: Range<usize>) -> Option<Vec<Range<usize>>> {
    let mut steps = Vec::new();
    let mut quote = None;
    let mut start = span.start;
    let mut rest = text[span.clone()].char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        let at = span.start + at;
        match (quote, character) {
            (_, '\\') => {
                rest.next();
            }
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '&') => {
                rest.next_if(|(_, next)| *next == '&')?;
                steps.push(start..at);
                start = at + 2;
            }
            (None, ';') => {
                steps.push(start..at);
                start = at + 1;
            }
            (None, '|' | '(' | ')' | '<' | '>' | '`' | '#') => return None,
            _ => {}
        }
    }
    steps.push(start..span.end);
    let trim = |step: Range<usize>| {
        let blank = |c: char| c.is_whitespace() || c == '\\';
        let own = &text[step.clone()];
        let end = step.start + own.trim_end_matches(blank).len();
        let start = step.end - own.trim_start_matches(blank).len();
        (start < end).then_some(start..end)
    };
    (quote.is_none()).then(|| steps.into_iter().map(trim).collect())?
}

/// A step as one line.
fn unfold(step: &str) -> String {
    step.split_whitespace().filter(|word| *word != "\\").collect::<Vec<_>>().join(" ")
}

/// The part of a command that a shell is told to run, between its quotes.
fn find_script(text: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let command = &text[span.clone()];
    let opened = SHELL.captures(command)?.get(1)?;
    let close = command.rfind(opened.as_str()).filter(|close| *close >= opened.end())?;
    let is_closed = |c: char| "\"']".contains(c) || c.is_whitespace();
    let is_last = command[close + 1..].chars().all(is_closed);
    is_last.then(|| span.start + opened.end()..span.start + close)
}

/// Where the line of a place stands, with those that a `\` continues it by.
fn whole_line(text: &str, line: usize) -> Range<usize> {
    let start = text::numbered_line(text, line);
    let mut end = text::next_line(text, start);
    while text[start..end].trim_end_matches('\n').ends_with('\\') && end < text.len() {
        end = text::next_line(text, end);
    }
    start..start + text[start..end].trim_end().len()
}

fn mend_procfile(once: &Once, text: &str, place: &Place) -> Option<Revision> {
    let line = whole_line(text, place.line);
    let (name, _) = text[line.clone()].split_once(':').filter(|(name, _)| *name != "release")?;
    let command = line.start + name.len() + 1..line.end;
    let taken = take(once, text, find_script(text, &command).unwrap_or(command))?;
    let mut revision = Revision::default();
    let release = text.lines().find(|line| line.starts_with("release:"));
    match release {
        Some(release) if taken.call.steps.iter().all(|step| release.contains(step)) => {}
        Some(_) => return None,
        None => {
            let release = format!("release: {}\n", taken.call.steps.join(" && "));
            revision.add(&place.path, [Insert::new(line.start, release)]);
        }
    }
    revision.add(&place.path, taken.cuts);
    Some(revision)
}

fn mend_image(tree: &Tree, once: &Once, text: &str, place: &Place) -> Option<Revision> {
    let line = whole_line(text, place.line);
    let (name, _) = text[line.clone()].split_once(char::is_whitespace)?;
    let command = line.start + name.len()..line.end;
    let is_json = text[command.clone()].trim_start().starts_with('[');
    let script = find_script(text, &command).or_else(|| (!is_json).then(|| command.clone()))?;
    let taken = take(once, text, script)?;
    let mut revision = Revision::default();
    revision.add(&place.path, taken.cuts);
    let has_home = hand_on(tree, &place.path, &taken.call, &mut revision)?;
    revision.say_where(&taken.call, has_home);
    Some(revision)
}

/// Has whatever runs an image as it is run the call before; nothing where something runs it that cannot be told so.
/// Says whether anything does.
fn hand_on(tree: &Tree, image: &RepoPath, call: &Call, revision: &mut Revision) -> Option<bool> {
    let is_elsewhere = FOREIGN_STARTERS
        .iter()
        .any(|name| RepoPath::parse(name).is_ok_and(|path| tree.get(&path).is_some()));
    if is_elsewhere || has_manifests(tree) {
        return None;
    }
    let mut has_home = false;
    for (path, text, node) in read_composes(tree) {
        let services = node.at(&["services"]).map(Node::entries).unwrap_or_default();
        let is_own = |service: &Node| {
            let paths = service.get("build").map(|_| image_paths(&path, service));
            paths.is_some_and(|paths| paths.iter().any(|path| path == image.as_str()))
        };
        let starts_it =
            |service: &Node| service.get("command").or(service.get("entrypoint")).is_none();
        let mut own = services.iter().filter(|it| is_own(&it.value) && starts_it(&it.value));
        let Some(service) = own.next() else { continue };
        if own.next().is_some() || service.value.at(&["build", "target"]).is_some() {
            return None;
        }
        revision.add(&path, shot::add(&text, &service.key, call)?);
        has_home = true;
        // Another file may give the service what the task would then lack.
        for (other, _, node) in read_composes(tree) {
            let Some(over) = node.at(&["services", &service.key]).filter(|_| other != path) else {
                continue;
            };
            let is_more = ["environment", "env_file", "image", "networks"]
                .iter()
                .any(|key| over.get(key).is_some());
            if folder_of(&other) == folder_of(&path) && over.get("build").is_none() && is_more {
                return None;
            }
        }
    }
    let fly = RepoPath::parse("fly.toml").ok()?;
    if let Some(file) = read(tree, &fly) {
        if file.lines().contains("release_command") || !call.is_plain() {
            return None;
        }
        let deploy = format!("[deploy]\nrelease_command = \"{}\"\n", call.line());
        revision.add(&fly, merge::additions(Format::Toml, file.lines(), &deploy).ok()?);
        has_home = true;
    }
    Some(has_home)
}

/// Whether anything in it is deployed by Kubernetes.
fn has_manifests(tree: &Tree) -> bool {
    let is_yaml = |path: &&RepoPath| Format::of(path.as_str()) == Some(Format::Yaml);
    tree.files().filter(is_yaml).any(|path| {
        let text = tree.text(path).unwrap_or_default();
        ["kind: Deployment", "kind: StatefulSet", "serving.knative.dev"]
            .iter()
            .any(|word| text.contains(word))
    })
}

fn read_composes(tree: &Tree) -> Vec<(RepoPath, String, Node)> {
    let composes = tree.files().filter(|path| is_compose_name(path.file_name()));
    let read = composes.filter_map(|path| {
        let text = read(tree, path)?.lines().to_owned();
        let node = document::read(path.file_name(), &text).ok()?.into_iter().next()?;
        Some((path.clone(), text, node))
    });
    read.collect()
}

fn mend_compose(once: &Once, text: &str, place: &Place) -> Option<Revision> {
    let root = merge::read(Format::Yaml, text).ok()??;
    let services = root.child("services")?;
    let start = text::numbered_line(text, place.line);
    let end = text::next_line(text, start);
    let (service, command) = services.children().iter().find_map(|service| {
        let command = service.child("command")?;
        (start..end).contains(&command.key.start).then_some((service, command))
    })?;
    let taken = take(once, text, find_script(text, &command.span)?)?;
    let mut revision = Revision::default();
    // What is left needs no shell, where it is plain words.
    let is_line =
        text[command.span.clone()].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    match taken.rest.as_slice() {
        [rest] if is_line && shot::is_plain(rest) => {
            let rest = rest.strip_prefix("exec ").unwrap_or(rest).to_owned();
            revision.add(&place.path, [Insert::replace(&command.span, rest)]);
        }
        _ => revision.add(&place.path, taken.cuts),
    }
    revision.add(&place.path, shot::add(text, &service.name, &taken.call)?);
    revision.say_where(&taken.call, true);
    Some(revision)
}

fn mend_manifest(tree: &Tree, once: &Once, text: &str, place: &Place) -> Option<Revision> {
    let root = merge::read(Format::Json, text).ok()??;
    let scripts = root.child("scripts")?;
    let start = text::numbered_line(text, place.line);
    let end = text::next_line(text, start);
    let started =
        scripts.children().iter().find(|script| (start..end).contains(&script.key.start))?;
    let taken = take(once, text, started.span.start + 1..started.span.end - 1)?;
    let mut revision = Revision::default();
    revision.add(&place.path, taken.cuts);

    let folder = folder_of(&place.path);
    let beside = |name: &str| RepoPath::parse(&format!("{folder}{name}")).ok();
    let stands = |name: &str| beside(name).is_some_and(|path| tree.get(&path).is_some());
    let locks = [
        ("yarn.lock", "yarn"),
        ("pnpm-lock.yaml", "pnpm run"),
        ("bun.lock", "bun run"),
        ("bun.lockb", "bun run"),
    ];
    let runner =
        locks.iter().find(|(lock, _)| stands(lock)).map_or("npm run", |(_, runner)| *runner);
    let [step] = taken.call.steps.as_slice() else { return None };
    let call =
        if ["npm run ", "yarn ", "pnpm ", "bun run "].iter().any(|start| step.starts_with(start)) {
            taken.call
        } else {
            let is_it =
                |script: &&merge::tree::Node| text[script.span.clone()].trim_matches('"') == step;
            let known = scripts.children().iter().find(is_it);
            if known.is_none() {
                let addition =
                    format!("{{\n  \"scripts\": {{\n    \"migrate\": \"{step}\"\n  }}\n}}\n");
                revision.add(&place.path, merge::additions(Format::Json, text, &addition).ok()?);
            }
            let name = known.map_or("migrate", |script| script.name.as_str());
            Call { steps: vec![format!("{runner} {name}")], ..Call::default() }
        };

    let is_started = Regex::new(&format!(
        r#"\b(?:npm|yarn|pnpm|bun)\b["',\s]+(?:run\b["',\s]+)?{}\b"#,
        regex::escape(&started.name)
    ))
    .ok()?;
    let mut has_home = false;
    if let Some(procfile) = beside("Procfile")
        && let Some(file) = read(tree, &procfile)
        && let Some(web) = file
            .lines()
            .lines()
            .position(|line| line.starts_with("web:") && is_started.is_match(line))
    {
        if file.lines().lines().any(|line| line.starts_with("release:")) {
            return None;
        }
        let at = text::numbered_line(file.lines(), web + 1);
        revision.add(&procfile, [Insert::new(at, format!("release: {}\n", call.line()))]);
        has_home = true;
    }
    for (path, image) in read_images(tree) {
        let starts = image.last_stage().any(|it| {
            matches!(it.name.as_str(), "CMD" | "ENTRYPOINT") && is_started.is_match(&it.text)
        });
        if starts {
            has_home |= hand_on(tree, &path, &call, &mut revision)?;
        }
    }
    for (path, text, node) in read_composes(tree) {
        for service in node.at(&["services"]).map(Node::entries).unwrap_or_default() {
            let Some(command) = service.value.get("command") else { continue };
            let words = document_words(&command.value);
            if is_started.is_match(&words) {
                revision.add(&path, shot::add(&text, &service.key, &call)?);
                has_home = true;
            }
        }
    }
    if !revision.edits.keys().any(|path| path.file_name().starts_with("Procfile")) {
        revision.say_where(&call, has_home);
    }
    Some(revision)
}

fn document_words(node: &Node) -> String {
    node.text().map_or_else(
        || node.items().iter().filter_map(Node::text).collect::<Vec<_>>().join(" "),
        str::to_owned,
    )
}

fn read_images(tree: &Tree) -> Vec<(RepoPath, Image)> {
    let images = tree.files().filter(|path| is_image_name(path.file_name()));
    images.filter_map(|path| Some((path.clone(), Image::read(path, &tree.text(path)?)))).collect()
}

/// In a shell script that an image starts by: the line of the task.
fn mend_script(tree: &Tree, once: &Once, text: &str, place: &Place) -> Option<Revision> {
    let line = whole_line(text, place.line);
    let step = &text[line.clone()];
    let below = &text[text::next_line(text, line.end)..];
    let next = below.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if !once.task.is_match(step) || next.contains("$?") || !text.starts_with("#!") {
        return None;
    }
    let mut call = Call { steps: vec![step.to_owned()], ..Call::default() };
    let mut start = line.start;
    if start > 0 {
        let above = text::line_start(text, start - 1);
        if above > 0 && ANNOUNCES.is_match(&text[above..start]) {
            start = above;
        }
    }
    let mut end = text::next_line(text, line.end);
    // No two blank lines where there was one on each side.
    if text::follows_blank(text, start) && text[end..].starts_with('\n') {
        end += 1;
    }
    let mut revision = Revision::default();
    revision.add(&place.path, [Insert::replace(&(start..end), String::new())]);

    let name = place.path.file_name();
    let starts = |found: &&crate::check::facts::image::Instruction, what: &str| {
        found.name == what && found.text.contains(name)
    };
    let mut images = read_images(tree).into_iter().filter(|(_, image)| {
        image.last_stage().any(|found| starts(&found, "CMD") || starts(&found, "ENTRYPOINT"))
    });
    let (image, read) = images.next()?;
    if images.next().is_some() || !image_stays(tree, name) {
        return None;
    }
    let is_entry = read.last_stage().any(|found| starts(&found, "ENTRYPOINT"));
    call.is_entry = is_entry && !text.contains("\"$@\"");
    let has_home = hand_on(tree, &image, &call, &mut revision)?;
    revision.say_where(&call, has_home);
    Some(revision)
}

/// Whether no compose service starts the script by its own command.
fn image_stays(tree: &Tree, script: &str) -> bool {
    read_composes(tree).iter().all(|(_, _, node)| {
        node.at(&["services"]).map(Node::entries).unwrap_or_default().iter().all(|service| {
            ["command", "entrypoint"]
                .iter()
                .filter_map(|key| service.value.get(key))
                .all(|it| !document_words(&it.value).contains(script))
        })
    })
}
