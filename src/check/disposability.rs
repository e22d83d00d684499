//! Disposability: does it start fast, and stop well on SIGTERM?

use super::case::{Case, Judgement};
use super::facts::run::{Kind, Role, Run, Step, is_migration};
use super::finding::{Place, Severity, Verdict};
use super::language::Language;
use super::unknown;
use crate::error::Result;

/// Servers and frameworks that drain on SIGTERM by themselves.
const GRACEFUL: [&str; 11] = [
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "waitress-serve",
    "uwsgi",
    "granian",
    "celery",
    "fastapi run",
    "fastapi dev",
    "fastify start",
];

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let handles = case.has("handles-sigterm");
    // A worker has no requests.
    if !case.has("no-sigterm-handler") {
        case.drop_marks(|mark| mark.rule.id == "exits-with-requests");
    }
    if handles {
        case.drop_marks(|mark| {
            matches!(mark.rule.id.as_str(), "no-sigterm-handler" | "job-not-given-back")
        });
    }
    // Where nothing is drained, or a framework listens by itself, Ctrl-C is no matter.
    if !handles || case.has("hears-sigterm") || case.has("actix-is-graceful") {
        case.drop_marks(|mark| mark.rule.id == "hears-interrupt-only");
    }
    // Who turns the signals of a framework off to hear them himself, stops it himself.
    let stops = |path| {
        let source = case.sources.get(path);
        source.is_some_and(|source| source.text.contains(".stop(true)"))
    };
    if case.has("hears-sigterm") && facts.reach.served().any(stops) {
        case.drop_marks(|mark| mark.rule.id == "signals-disabled");
    }
    if facts.runs.iter().any(|run| run.role == Role::Web && run.main().contains("fastify start")) {
        case.weigh("no-sigterm-handler", Severity::Risk);
    }
    let threads: Vec<Place> = case.by("thread-in-web").map(|mark| mark.place.clone()).collect();
    for place in threads {
        case.mark("thread-lost", place, "")?;
    }
    if facts.declares(&["rocket"])
        && let Some(app) = facts.apps.iter().find(|app| app.declares("rocket"))
    {
        let line = app.find("rocket").map_or(1, |found| found.line);
        case.mark("graceful-by-default", Place::line(app.manifest.clone(), line), "Rocket")?;
    }
    judge_command_line(case)?;
    for run in facts.servers() {
        if !run.is_definition() {
            continue;
        }
        let main = run.main();
        if let Some(server) = GRACEFUL.iter().find(|server| main.contains(*server)) {
            let place =
                run.steps.last().map_or_else(|| run.place.clone(), |step| step.place.clone());
            case.mark("graceful-by-default", place, server)?;
        }
        if hides_signals(run) || has_shell_of_npm(run) {
            for place in shell_places(run) {
                case.mark("shell-hides-signals", place, main)?;
            }
        }
        let is_manager = run.through.iter().any(|program| program == "npm")
            || ["npm ", "yarn ", "pnpm "].iter().any(|program| main.starts_with(program));
        if is_manager && run.kind != Kind::Procfile {
            case.mark("manager-hides-signals", run.place.clone(), "")?;
        }
    }
    let is_web_of_procfile = |run: &&Run| run.kind == Kind::Procfile && run.role == Role::Web;
    let webs = facts.runs.iter().filter(is_web_of_procfile).chain(facts.servers());
    let migrating: Vec<&Place> = case.by("run-migrates").map(|mark| &mark.place).collect();
    let places: Vec<Place> = webs.flat_map(|run| works_before(run, &migrating)).collect();
    for place in places {
        case.mark("works-before-serving", place, "")?;
    }
    Ok(())
}

/// Frameworks that a command of theirs starts, where a manifest's script alone says so: no code listens then.
fn judge_command_line(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    if case.has("handles-sigterm") || case.has("no-sigterm-handler") {
        return Ok(());
    }
    let found = facts.apps.iter().find_map(|app| app.find("fastify-cli"));
    // Its first versions heard no signal.
    let is_deaf = found.is_some_and(|found| {
        found.range().trim_start_matches(['^', '~', '=', 'v']).starts_with("0.")
    });
    for run in facts.servers().into_iter().filter(|run| !run.is_definition()) {
        let Some(step) = run.steps.last() else { continue };
        let starts = |command: &str| step.text.contains(command);
        if starts("fastify start") && is_deaf {
            case.mark("no-sigterm-handler", step.place.clone(), "")?;
        } else if let Some(command) =
            ["fastify start", "next start"].into_iter().find(|command| starts(command))
        {
            case.mark("graceful-by-default", step.place.clone(), command)?;
        }
    }
    Ok(())
}

/// Where it is said what the shell is to do: in the definition, and at the end of a script that it is.
fn shell_places(run: &Run) -> Vec<Place> {
    let is_elsewhere = |step: &&Step| step.place.path != run.place.path;
    let is_npm = run.through.last().is_some_and(|program| program == "npm");
    let first = run.steps.first().map(|step| step.place.clone());
    if is_npm {
        return first.into_iter().collect();
    }
    let first = first.filter(|first| first.path == run.place.path);
    if run.kind == Kind::Platform {
        return run.steps.last().map(|step| step.place.clone()).into_iter().collect();
    }
    let last = run.steps.last().filter(is_elsewhere).map(|step| step.place.clone());
    if run.steps.len() == 1 && goes_through_script(run) && last.is_some() {
        return last.into_iter().collect();
    }
    std::iter::once(first.unwrap_or_else(|| run.place.clone())).chain(last).collect()
}

/// The steps before the one that serves that take time: migrations, builds, data that is loaded.
fn works_before(run: &Run, migrating: &[&Place]) -> Vec<Place> {
    let is_script = |step: &Step| step.place.path.file_name() == "package.json";
    run.steps
        .iter()
        .rev()
        .skip(1)
        .filter(|step| {
            // What compose takes over from an image is said there.
            run.is_shell || run.kind == Kind::Kubernetes || step.place.path != run.place.path
        })
        .filter(|step| run.is_definition() || is_script(step) && !is_migration(&step.text))
        .filter(|step| {
            is_migration(&step.text) || is_work(&step.text) || migrating.contains(&&step.place)
        })
        .map(|step| step.place.clone())
        .collect()
}

/// Whether a command makes what a build or a release could have made.
fn is_work(command: &str) -> bool {
    [
        "collectstatic",
        " build",
        "compilemessages",
        "compress",
        " compile",
        "loaddata",
        "initial_data",
        "seed",
        "createcachetable",
        "prisma generate",
        "apidoc",
        "webpack",
        "sass ",
        "tailwindcss",
        "postcss ",
        "gulp",
        "grunt",
        "yarn install",
        "pnpm install",
        "npm install",
        "npm ci",
        "pip install",
        "bundle install",
    ]
    .iter()
    .any(|word| command.contains(word))
        || ["npm run ", "yarn run ", "pnpm run "].iter().any(|start| command.starts_with(start))
        || matches!(command.split_whitespace().next(), Some("tsc"))
}

/// A shell as the first process of a container, which passes no signal on to what it runs.
fn hides_signals(run: &Run) -> bool {
    let Some(last) = run.steps.last() else { return false };
    let text = last.text.trim_start();
    if text.starts_with("exec ") || run.kind == Kind::Procfile {
        return false;
    }
    if run.kind == Kind::Platform {
        // Systemd tells every process of the unit.
        let is_unit = run.place.path.file_name().ends_with(".service");
        return goes_through_script(run) && run.steps.len() > 1 && !is_unit;
    }
    // A script stays until its last command has ended.
    if goes_through_script(run) {
        return true;
    }
    // A shell that has one command to run becomes it; one with several waits for the last.
    let is_several = run.steps.len() > 1;
    run.is_shell && (is_several || run.through.is_empty() && run.kind == Kind::Image)
}

fn goes_through_script(run: &Run) -> bool {
    run.through.iter().any(|program| program != "npm")
}

/// A script of several commands: npm starts a shell for it, which stays, wherever npm itself is started.
fn has_shell_of_npm(run: &Run) -> bool {
    let is_script = |step: &&Step| step.place.path.file_name() == "package.json";
    run.through.last().is_some_and(|program| program == "npm")
        && run.steps.iter().filter(is_script).count() > 1
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    let has = |language| case.facts.apps.iter().any(|app| app.language == language && app.serves());
    if has(Language::Python) && !has(Language::JavaScript) && !has(Language::Rust) {
        return unknown("no definition says which server runs it");
    }
    if case.has("binds") {
        return Judgement::new(Verdict::Met, "the server stops gracefully");
    }
    unknown("nothing that is read starts a server")
}
