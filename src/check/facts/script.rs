//! What a command goes through before something stays: scripts of the shell and of a manifest, targets of make.

use std::sync::LazyLock;

use regex::Regex;

use super::Facts;
use super::image::Image;
use super::manifest::Script;
use super::run::{Kind, Role, Run, Step, is_migration, shell_argument, split, stage_of};
use crate::check::finding::Place;
use crate::check::lines::numbered;
use crate::check::sources::{Source, Sources, folder_of};
use crate::tree::RepoPath;

/// Scripts that start scripts end somewhere.
const MAX_DEPTH: usize = 6;

/// Programs that start another and pass its signals on.
const WRAPPERS: [&str; 12] = [
    "exec",
    "tini",
    "dumb-init",
    "catatonit",
    "nohup",
    "env",
    "time",
    "cross-env",
    "dotenv",
    "command",
    "newrelic-admin",
    "ddtrace-run",
];

/// Words of the shell that start nothing.
const NOTHING: [&str; 24] = [
    "", "fi", "done", "esac", "}", ")", "set", "shift", "exit", "return", "wait", "trap", "[",
    "[[", "test", "local", "readonly", "for", "break", "continue", "true", ":", "echo", "function",
];

static DEVELOPMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(dev|devel|development|debug|local|test|testing|reload)\b").ok()
});
static LABEL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^\(?(["'\w*-]+(?:\s*\|\s*["'\w*-]+)*)\)\s*"#).ok());

/// Replaces scripts by what they run, so that rules see it.
pub fn expand(sources: &Sources, facts: &mut Facts) {
    let mut runs = std::mem::take(&mut facts.runs);
    for run in &mut runs {
        if run.steps.is_empty() && run.kind == Kind::Platform && run.role == Role::Web {
            // Nothing is said: the platform starts what the manifest does.
            let started = find_script(facts, &run.folder, "npm start");
            run.steps.extend(started.into_iter().flat_map(|found| found.1));
        }
        expand_run(sources, facts, run);
    }
    facts.runs = runs;
    let mut builds = std::mem::take(&mut facts.builds);
    for build in &mut builds {
        expand_run(sources, facts, build);
    }
    facts.builds = builds;
}

fn expand_run(sources: &Sources, facts: &Facts, run: &mut Run) {
    for _ in 0..MAX_DEPTH {
        let Some(step) = run.steps.last() else { break };
        if let Some(line) = shell_argument(&step.text) {
            let steps = split(&step.place, line);
            run.is_shell = true;
            run.steps.pop();
            run.steps.extend(steps);
            continue;
        }
        let found = find_script(facts, &run.folder, &step.text)
            .or_else(|| read_shell_script(sources, facts, run, step))
            .or_else(|| read_target(sources, &run.folder, &step.text));
        let Some((program, steps)) = found else { break };
        // Who is replaced by what he starts stands between no longer.
        if step.text.trim_start().starts_with("exec ") {
            run.through.clear();
        }
        run.through.push(program);
        run.steps.pop();
        run.steps.extend(steps);
    }
    // What is run before, the same way; it leaves nothing behind that stands between.
    let Some(last) = run.steps.pop() else { return };
    let mut steps = Vec::new();
    for step in std::mem::take(&mut run.steps) {
        if let Some((_, inner)) = read_shell_script(sources, facts, run, &step) {
            steps.extend(inner.into_iter().filter(|inner| !inner.text.contains("$@")));
            continue;
        }
        let inner = find_script(facts, &run.folder, &step.text)
            .and_then(|(_, inner)| inner.into_iter().find(|inner| is_migration(&inner.text)));
        match inner.filter(|_| !is_migration(&step.text)) {
            Some(inner) => steps.push(Step { text: inner.text, ..step }),
            None => steps.push(step),
        }
    }
    steps.push(last);
    // What an image would run before, where the repository has it.
    steps.retain(|step| step.text != super::run::PRESTART);
    run.steps = steps;
    if run.kind == Kind::Image && !run.through.is_empty() && run.role == Role::Web {
        run.role = run.guess_role();
    }
}

/// A command without what only starts it.
fn unwrap(command: &str) -> &str {
    let mut rest = command.trim();
    loop {
        let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let name = first.rsplit('/').next().unwrap_or_default();
        let waits = name.starts_with("wait") || name == "dockerize";
        if waits && let Some((_, after)) = rest.split_once(" -- ") {
            rest = after.trim_start();
        } else if WRAPPERS.contains(&name) || first == "--" || is_assignment(first) {
            rest = after.trim_start();
        } else if matches!(name, "gosu" | "su-exec") {
            rest = after.trim_start().split_once(' ').map_or("", |(_, after)| after.trim_start());
        } else {
            return rest;
        }
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// The manifest's script that a package manager's command runs, after the one that it runs before.
fn find_script(facts: &Facts, folder: &str, command: &str) -> Option<(String, Vec<Step>)> {
    let all: Vec<&str> = unwrap(command).split_whitespace().collect();
    let elsewhere = all.windows(2).find(|pair| matches!(pair[0], "--prefix" | "-C" | "--cwd"));
    let below = elsewhere.map(|pair| pair[1].trim_start_matches("./").trim_end_matches('/'));
    let moved = below.map(|below| format!("{folder}{below}/"));
    let folder = moved.as_deref().unwrap_or(folder);
    let workspace = find_workspace(&all);
    let words: Vec<&str> = all
        .into_iter()
        .filter(|word| {
            !word.starts_with('-')
                && !word.contains('=')
                && *word != "exec"
                && (workspace.is_none() || *word != "workspace" && Some(*word) != workspace)
                && Some(word.trim_start_matches("./").trim_end_matches('/')) != below
        })
        .collect();
    let name = match words.as_slice() {
        ["npm", "start", ..] => "start",
        ["npm" | "yarn" | "pnpm" | "bun" | "turbo" | "lerna", "run" | "run-script", name, ..]
        | ["yarn" | "pnpm" | "bun", name, ..] => *name,
        _ => return None,
    };
    let near = |app: &&super::manifest::App| folder_of(&app.manifest) == folder;
    let with_scripts = || facts.apps.iter().filter(|app| !app.scripts.is_empty());
    let is_meant = |app: &&super::manifest::App| {
        let own = app.folder().trim_end_matches('/').rsplit('/').next();
        let wanted = workspace.map(|name| name.trim_matches(['.', '{', '}', '^', '/']));
        wanted.is_some_and(|name| own == name.rsplit('/').next())
    };
    let meant = with_scripts().find(is_meant);
    let app = meant
        .or_else(|| with_scripts().find(near))
        .or_else(|| with_scripts().find(|app| app.serves()))?;
    let find = |name: &str| app.scripts.iter().find(|script| script.name == name);
    let script = find(name)?;
    let before = find(&format!("pre{name}"));
    let steps =
        |script: &Script| split(&Place::line(app.manifest.clone(), script.line), &script.command);
    let mut found: Vec<Step> = before.map(steps).unwrap_or_default();
    found.extend(steps(script));
    Some(("npm".to_owned(), found))
}

/// The package of a workspace that a package manager's command is for.
fn find_workspace<'w>(words: &[&'w str]) -> Option<&'w str> {
    let apart = words.windows(2).find(|pair| {
        matches!(pair[0], "-w" | "--workspace" | "--filter" | "-F" | "--scope" | "workspace")
    });
    let joined = || {
        let options = ["--workspace=", "--filter=", "--scope=", "-w="];
        words.iter().find_map(|word| options.iter().find_map(|start| word.strip_prefix(start)))
    };
    let found = apart.map(|pair| pair[1]).or_else(joined)?;
    Some(found.trim_matches(['"', '\'']))
}

/// The commands of a shell script of the repository.
fn read_shell_script(
    sources: &Sources,
    facts: &Facts,
    run: &Run,
    step: &Step,
) -> Option<(String, Vec<Step>)> {
    let words: Vec<&str> = unwrap(&step.text).split_whitespace().collect();
    let is_shell = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or_default();
        matches!(name, "sh" | "bash" | "ash" | "dash" | "zsh" | "." | "source")
    };
    let at = words.iter().position(|word| !is_shell(word) && !word.starts_with('-'))?;
    let word = words[at].trim_matches(['"', '\'']);
    // What the word itself says of a script that is no shell's.
    if word.is_empty() || at == 0 && !word.contains(['/', '.', '-', '_']) && !is_plain_name(word) {
        return None;
    }
    let (path, source) = find_shell_script(sources, facts, run, word)?;
    let rest = words[at + 1..].join(" ");
    let mut steps = read_steps(path, &source.text, words.get(at + 1).copied());
    // `exec "$@"` runs what follows the script's name.
    for inner in &mut steps {
        let given = ["\"$@\"", "\"${@}\"", "${@}", "$@", "\"$*\"", "$*"];
        if let Some(given) = given.iter().find(|given| inner.text.contains(**given)) {
            if rest.is_empty() {
                continue;
            }
            inner.text = inner.text.replace(*given, &rest);
            inner.place = step.place.clone();
        }
    }
    let name = word.rsplit('/').next().unwrap_or_default();
    (!steps.is_empty()).then(|| (name.to_owned(), steps))
}

/// Names without an end that scripts have.
fn is_plain_name(word: &str) -> bool {
    matches!(word, "start" | "run" | "boot" | "entrypoint" | "serve" | "release" | "prestart")
}

/// The script that a word means, in the repository or by the path that an image copies it to.
fn find_shell_script<'s>(
    sources: &'s Sources,
    facts: &Facts,
    run: &Run,
    word: &str,
) -> Option<(&'s RepoPath, &'s Source)> {
    let name = word.rsplit('/').next().unwrap_or_default();
    let image = facts.images.iter().find(|image| Some(&image.path) == run.image.as_ref());
    let copied = image.and_then(|image| find_copied(image, word));
    let asked = word.trim_start_matches(['.', '/']);
    let is_copied = |path: &RepoPath| {
        copied.as_ref().is_some_and(|copied| {
            let rest = path.as_str().strip_suffix(copied.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        })
    };
    let such = sources.iter().filter(|(path, source)| {
        (path.file_name() == name || is_copied(path)) && is_shell_script(path, &source.text)
    });
    let such = such.filter(|(_, source)| source.grammar.is_none());
    such.max_by_key(|(path, _)| {
        let is_there = path.as_str().strip_prefix(&run.folder) == Some(asked);
        let is_near = path.as_str().starts_with(&run.folder);
        let is_of_stage = stage_of(path) == run.stage;
        let is_other = stage_of(path) == super::run::Stage::Development;
        let below = path.as_str().ends_with(asked);
        (
            is_copied(path),
            is_there,
            below,
            is_of_stage,
            !is_other,
            is_near,
            std::cmp::Reverse(*path),
        )
    })
}

fn is_shell_script(path: &RepoPath, text: &str) -> bool {
    let name = path.file_name();
    name.ends_with(".sh")
        || name.ends_with(".bash")
        || text.lines().next().is_some_and(|line| line.starts_with("#!") && line.contains("sh"))
}

/// What an image copies to that path, as the instruction names it.
fn find_copied(image: &Image, word: &str) -> Option<String> {
    let name = word.rsplit('/').next().unwrap_or_default();
    let copies = image.instructions.iter().filter(|found| {
        matches!(found.name.as_str(), "COPY" | "ADD") && !found.text.contains("--from")
    });
    for copy in copies {
        let words: Vec<String> = super::image::exec_form(&copy.text).unwrap_or_else(|| {
            let words = copy.text.split_whitespace().filter(|word| !word.starts_with("--"));
            words.map(str::to_owned).collect()
        });
        let Some((to, from)) = words.split_last() else { continue };
        let is_folder = to.ends_with('/') || to == "." || from.len() > 1;
        for source in from {
            let own = source.rsplit('/').next().unwrap_or_default();
            let is_it = if is_folder {
                own == name
            } else {
                to.ends_with(&format!("/{name}")) || to == name
            };
            if is_it && !own.is_empty() && own != "." {
                return Some(source.trim_start_matches("./").trim_start_matches('/').to_owned());
            }
        }
    }
    None
}

/// A script's commands in the order that they stand, without its branches for development.
fn read_steps(path: &RepoPath, text: &str, argument: Option<&str>) -> Vec<Step> {
    let mut found: Vec<(Step, Option<String>)> = Vec::new();
    // For each `if` that is open, whether its branch is left out.
    let mut branches: Vec<Branch> = Vec::new();
    let mut label: Option<String> = None;
    let mut cases = 0usize;
    for (place, line) in joined(path, text) {
        for part in split(&place, &line) {
            let Some(text) = read_part(&part.text, &mut branches, &mut label, &mut cases) else {
                continue;
            };
            if branches.iter().all(|branch| !branch.is_out) {
                found.push((Step { text, ..part }, label.clone()));
            }
        }
    }
    let has = |wanted: &str| {
        found.iter().any(|(_, label)| label.as_deref().is_some_and(|it| names(it, wanted)))
    };
    let wanted = argument.map(|word| if has(word) { word } else { "*" });
    let is_kept = |label: &Option<String>| match (label, wanted) {
        (None, _) => true,
        (Some(label), Some(wanted)) => names(label, wanted),
        (Some(label), None) => !is_of_development(label),
    };
    found.into_iter().filter(|(_, label)| is_kept(label)).map(|(step, _)| step).collect()
}

/// Whether a label of `case` has this pattern.
fn names(label: &str, wanted: &str) -> bool {
    label.split('|').any(|part| part.trim().trim_matches(['"', '\'']) == wanted)
}

/// A branch of an `if`.
struct Branch {
    is_out: bool,
    /// What its `else` will be.
    is_else_out: bool,
}

/// A command of a script without the shell's own words; nothing where there is none.
fn read_part(
    text: &str,
    branches: &mut Vec<Branch>,
    label: &mut Option<String>,
    cases: &mut usize,
) -> Option<String> {
    let mut text = text.trim();
    if *cases > 0
        && let Some(found) = LABEL.as_ref().and_then(|label| label.captures(text))
    {
        *label = found.get(1).map(|label| label.as_str().to_owned());
        text = text[found.get(0).map_or(0, |all| all.end())..].trim();
    }
    loop {
        let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match first {
            "if" => {
                let (is_out, is_else_out) = weigh(rest);
                branches.push(Branch { is_out, is_else_out });
            }
            "elif" | "else" => {
                if let Some(branch) = branches.last_mut() {
                    branch.is_out = branch.is_else_out;
                    if first == "elif" {
                        branch.is_out |= weigh(rest).0;
                    }
                }
            }
            "fi" => {
                branches.pop();
            }
            "case" => {
                *cases += 1;
                // `case "$1" in web) …` may go on in its line.
                text = rest.split_once(" in").map_or("", |(_, rest)| rest.trim());
                if let Some(found) = LABEL.as_ref().and_then(|label| label.captures(text)) {
                    *label = found.get(1).map(|label| label.as_str().to_owned());
                    text = text[found.get(0).map_or(0, |all| all.end())..].trim();
                }
                continue;
            }
            "esac" => {
                *cases = cases.saturating_sub(1);
                *label = None;
            }
            "then" | "do" | "while" | "until" | "!" | "{" | "(" => {}
            _ => break,
        }
        text = rest.trim();
    }
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_nothing = NOTHING.contains(&first) || first.ends_with("()") || is_assignment_only(text);
    (!is_nothing).then(|| text.trim_end_matches([')', '}']).trim().to_owned())
}

/// Whether what follows a condition is for development, and whether its `else` is.
fn weigh(condition: &str) -> (bool, bool) {
    let is_negative = condition.contains("!=") || condition.contains("! ");
    let is_development = is_of_development(condition);
    let is_production = !is_development && condition.to_lowercase().contains("prod");
    (
        is_development && !is_negative || is_production && is_negative,
        is_development && is_negative || is_production && !is_negative,
    )
}

fn is_of_development(text: &str) -> bool {
    let text = text.trim_start_matches("test ");
    DEVELOPMENT.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

fn is_assignment_only(text: &str) -> bool {
    let rest = text.strip_prefix("export ").unwrap_or(text);
    is_assignment(rest.split_whitespace().next().unwrap_or_default())
        && (rest.split_whitespace().count() == 1 || rest.contains("=$(") || rest.contains("=\""))
}

/// The lines of a script, with those that go on put together, and without comments and here-documents.
fn joined(path: &RepoPath, text: &str) -> Vec<(Place, String)> {
    let mut lines: Vec<(Place, String)> = Vec::new();
    let mut goes_on = false;
    let mut end: Option<String> = None;
    for (number, line) in numbered(text) {
        let line = line.trim();
        if let Some(wanted) = &end {
            if line == wanted {
                end = None;
            }
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((_, after)) = line.split_once("<<").filter(|_| !line.contains("<<<")) {
            let word = after.trim_start_matches(['-', ' ', '"', '\'']);
            let word: String =
                word.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            end = Some(word).filter(|word| !word.is_empty());
        }
        let text = line.trim_end_matches('\\').trim();
        let text = text.split(" #").next().unwrap_or_default();
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, last)) => {
                last.push(' ');
                last.push_str(text);
            }
            None => lines.push((Place::line(path.clone(), number), text.to_owned())),
        }
        goes_on = line.ends_with('\\') || line.ends_with("&&") || line.ends_with("||");
    }
    lines
}

/// The commands of a target of make or just.
fn read_target(sources: &Sources, folder: &str, command: &str) -> Option<(String, Vec<Step>)> {
    let words: Vec<&str> = unwrap(command).split_whitespace().collect();
    let (program, name) = match words.as_slice() {
        ["make", name] => ("Makefile", *name),
        ["just", name] => ("justfile", *name),
        _ => return None,
    };
    let is_near = |path: &RepoPath| folder_of(path) == folder;
    let (path, source) =
        sources.named(|name| name == program).max_by_key(|(path, _)| is_near(path))?;
    let targets = read_targets(path, &source.text);
    let target = targets.iter().find(|target| target.name == name)?;
    // What it needs is made before.
    let needed = targets.iter().filter(|other| target.needs.contains(&other.name));
    let mut steps: Vec<Step> = needed.flat_map(|other| other.steps.clone()).collect();
    steps.extend(target.steps.iter().cloned());
    (!target.steps.is_empty()).then(|| (program.to_lowercase(), steps))
}

/// A target of a Makefile or justfile.
struct Target {
    name: String,
    /// The targets that are made before it.
    needs: Vec<String>,
    steps: Vec<Step>,
}

fn read_targets(path: &RepoPath, text: &str) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let mut goes_on = false;
    for (number, line) in numbered(text) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if line.starts_with(['\t', ' ']) {
            let Some(target) = targets.last_mut() else { continue };
            let text = line.trim().trim_start_matches(['@', '-']);
            let (text, ends) = (text.trim_end_matches('\\').trim(), text.ends_with('\\'));
            match target.steps.last_mut().filter(|_| goes_on) {
                Some(last) => last.text = format!("{} {text}", last.text),
                None => target.steps.extend(split(&Place::line(path.clone(), number), text)),
            }
            goes_on = ends;
            continue;
        }
        goes_on = false;
        let Some((head, rest)) = line.split_once(':').filter(|(_, rest)| !rest.starts_with('='))
        else {
            continue;
        };
        let name = head.split_whitespace().next().unwrap_or_default();
        let is_name = !head.contains('=') && !name.starts_with('.') && !rest.starts_with(":=");
        if is_name {
            let needs = rest.split_whitespace().take_while(|word| !word.starts_with('#'));
            let needs = needs.map(str::to_owned).collect();
            targets.push(Target { name: name.to_owned(), needs, steps: Vec::new() });
        }
    }
    targets
}

/// How a Makefile starts the service, where nothing else says it.
pub fn read_make(sources: &Sources, facts: &mut Facts) {
    if facts.runs.iter().any(|run| run.role == Role::Web) {
        return;
    }
    let starts = |text: &str| {
        let words =
            ["cargo run", "cargo watch", "cargo shuttle run", "npm start", "npm run", "yarn start"];
        super::run::is_server(text) || words.iter().any(|word| text.contains(word))
    };
    let mut found = Vec::new();
    for (path, source) in sources.named(|name| matches!(name, "Makefile" | "justfile")) {
        for target in read_targets(path, &source.text) {
            let words: Vec<&str> = target.name.split(['-', '_', '.']).collect();
            let is_start = words
                .iter()
                .any(|word| matches!(*word, "start" | "run" | "serve" | "server" | "web" | "api"));
            let is_other = words.iter().any(|word| {
                matches!(
                    *word,
                    "test" | "tests" | "lint" | "migrate" | "migrations" | "db" | "docker"
                )
            });
            let Some(last) = target.steps.last().filter(|_| is_start && !is_other) else {
                continue;
            };
            if starts(&last.text) && !last.text.contains("docker") && !is_migration(&last.text) {
                let mut run = Run::new(Kind::Manifest, last.place.clone(), &target.name, "");
                run.steps = target.steps;
                run.role = Role::Web;
                found.push(run);
            }
        }
    }
    facts.runs.extend(found);
}

/// Scripts at the root whose name says that a platform starts them, where nothing else says what is run.
pub fn read_start_scripts(sources: &Sources, facts: &mut Facts) {
    let is_served = |run: &Run| {
        run.role == Role::Web && run.is_definition() && run.stage != super::run::Stage::Development
    };
    if facts.runs.iter().any(is_served) {
        return;
    }
    let is_start = |name: &str| {
        let stem = name.strip_suffix(".sh").unwrap_or(name);
        matches!(
            stem,
            "startup"
                | "start"
                | "boot"
                | "entrypoint"
                | "docker-entrypoint"
                | "run"
                | "start-server"
                | "start_server"
        )
    };
    let mut found = Vec::new();
    for (path, source) in sources.named(is_start) {
        let is_root = folder_of(path).is_empty()
            || facts.apps.iter().any(|app| app.serves() && app.folder() == folder_of(path));
        if !is_root || !is_shell_script(path, &source.text) {
            continue;
        }
        let steps = read_steps(path, &source.text, None);
        let Some(last) = steps.last().filter(|last| super::run::is_server(&last.text)) else {
            continue;
        };
        let mut run = Run::new(Kind::Platform, last.place.clone(), "web", "");
        run.steps.clone_from(&steps);
        run.role = Role::Web;
        found.push(run);
    }
    facts.runs.extend(found);
}

/// What supervisor starts.
pub fn read_supervisor(sources: &Sources, facts: &mut Facts) {
    let is_file = |name: &str| name.ends_with(".conf") || name == "supervisord.ini";
    let mut found = Vec::new();
    for (path, source) in sources.named(is_file) {
        if !source.text.contains("[program:") {
            continue;
        }
        let mut name = "";
        for (number, line) in numbered(&source.text) {
            let line = line.trim();
            if let Some(program) = line.strip_prefix("[program:") {
                name = program.trim_end_matches(']');
            } else if let Some((key, command)) = line.split_once('=')
                && key.trim() == "command"
            {
                let place = Place::line(path.clone(), number);
                let run = Run::new(Kind::Platform, place, name, command.trim());
                let is_own = !["nginx", "redis-server", "cron", "crond", "postgres", "sshd"]
                    .iter()
                    .any(|program| run.main().contains(program));
                found.extend(is_own.then_some(run));
            }
        }
    }
    facts.runs.extend(found);
}
