//! Tools: those that scripts and run commands call and nobody declares, and package managers that pass over the lock.

use super::case::Case;
use super::facts::manifest::App;
use super::finding::{Place, Severity};
use super::language::Language;
use crate::error::Result;

/// Programs that scripts call, with the packages of which one brings them.
const PROGRAMS: [(&str, &[&str]); 38] = [
    ("apidoc", &["apidoc"]),
    ("babel-node", &["@babel/node", "babel-cli"]),
    ("concurrently", &["concurrently"]),
    ("cross-env", &["cross-env"]),
    ("db-migrate", &["db-migrate"]),
    ("dotenv", &["dotenv-cli"]),
    ("env-cmd", &["env-cmd"]),
    ("eslint", &["eslint", "standard", "xo", "react-scripts", "eslint-config-next", "neutrino"]),
    ("esbuild", &["esbuild", "vite", "tsup", "tsx"]),
    ("forever", &["forever"]),
    ("gulp", &["gulp", "gulp-cli"]),
    ("grunt", &["grunt", "grunt-cli"]),
    ("http-server", &["http-server"]),
    ("jest", &["jest", "jest-cli", "react-scripts"]),
    ("json-server", &["json-server"]),
    ("knex", &["knex"]),
    ("live-server", &["live-server"]),
    ("mocha", &["mocha", "@vscode/test-cli"]),
    ("nest", &["@nestjs/cli"]),
    ("nodemon", &["nodemon"]),
    ("npm-run-all", &["npm-run-all", "npm-run-all2"]),
    ("nyc", &["nyc", "tap"]),
    ("open-cli", &["open-cli"]),
    ("pm2", &["pm2"]),
    ("pm2-docker", &["pm2"]),
    ("pm2-runtime", &["pm2"]),
    ("prisma", &["prisma", "@prisma/cli"]),
    ("rimraf", &["rimraf"]),
    ("run-p", &["npm-run-all", "npm-run-all2"]),
    ("run-s", &["npm-run-all", "npm-run-all2"]),
    ("sequelize", &["sequelize-cli"]),
    ("sequelize-cli", &["sequelize-cli"]),
    ("supervisor", &["supervisor"]),
    ("ts-node", &["ts-node", "ts-node-dev"]),
    ("ts-node-dev", &["ts-node-dev"]),
    ("tsx", &["tsx"]),
    ("vitest", &["vitest"]),
    ("webpack", &["webpack", "webpack-cli"]),
];

/// The same of Python, in what is run.
const PYTHON_PROGRAMS: [(&str, &[&str]); 12] = [
    ("gunicorn", &["gunicorn"]),
    ("uvicorn", &["uvicorn"]),
    ("hypercorn", &["hypercorn"]),
    ("daphne", &["daphne"]),
    ("waitress-serve", &["waitress"]),
    ("granian", &["granian"]),
    ("celery", &["celery"]),
    ("dramatiq", &["dramatiq"]),
    ("rq", &["rq", "django-rq", "flask-rq2"]),
    ("alembic", &["alembic", "flask-migrate"]),
    ("arq", &["arq"]),
    ("honcho", &["honcho"]),
];

/// The lock that each package manager writes.
const LOCKS: [(&str, &[&str]); 4] = [
    ("npm", &["package-lock.json", "npm-shrinkwrap.json"]),
    ("yarn", &["yarn.lock"]),
    ("pnpm", &["pnpm-lock.yaml"]),
    ("bun", &["bun.lock", "bun.lockb"]),
];

pub fn judge(case: &mut Case<'_>) -> Result<()> {
    judge_runs(case)?;
    judge_lockless(case)?;
    let apps = || case.facts.apps.iter().filter(|app| app.language == Language::JavaScript);
    if apps().all(|app| app.dependencies.is_empty()) {
        return Ok(());
    }
    let mut undeclared = Vec::new();
    for app in apps() {
        for script in &app.scripts {
            let missing = called(&script.command).find_map(|program| {
                let (name, packages) = PROGRAMS.iter().find(|(name, _)| *name == program)?;
                // A set of its rules brings the tool along.
                let brings = |app: &App| {
                    let names = app.dependencies.iter().map(|it| it.name.as_str());
                    names.into_iter().any(|it| it.contains(&format!("{name}-config")))
                };
                let is_known =
                    |app: &App| packages.iter().any(|it| app.find(it).is_some()) || brings(app);
                (!apps().any(is_known)).then_some(*name)
            });
            let place = Place::line(app.manifest.clone(), script.line);
            undeclared.extend(missing.map(|name| (place, name)));
        }
    }
    for (place, name) in undeclared {
        case.mark("script-tool-undeclared", place, name)?;
    }
    judge_managers(case)
}

/// Servers and workers of Python that production starts, and that no manifest, lock or image has.
fn judge_runs(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let python = || facts.apps.iter().filter(|app| app.language == Language::Python);
    let is_complete = python().any(|app| !app.dependencies.is_empty())
        && python().all(|app| app.manifest.file_name() != "setup.py");
    if !is_complete {
        return Ok(());
    }
    let is_known = |package: &str| {
        let quoted = format!("\"{package}\"");
        let is_extra = |app: &App| {
            let fastapi = app.find("fastapi").filter(|_| package == "uvicorn");
            fastapi.is_some_and(|found| found.wanted.contains('['))
                || package == "uvicorn" && app.find("fastapi-cli").is_some()
        };
        python().any(|app| app.find(package).is_some() || is_extra(app))
            || case.sources.iter().any(|(path, source)| {
                super::sources::is_lock_name(path.file_name()) && source.text.contains(&quoted)
            })
            || facts.images.iter().any(|image| {
                let has = |found: &super::facts::image::Instruction| {
                    matches!(found.name.as_str(), "RUN" | "FROM") && found.text.contains(package)
                };
                image.instructions.iter().any(has)
            })
    };
    let mut missing: Vec<(Place, &str)> = Vec::new();
    for step in facts.production().into_iter().flat_map(|run| &run.steps) {
        let mut words = step.text.split_whitespace().filter(|word| !word.contains('='));
        let mut program = words.next().unwrap_or_default();
        if program == "exec" {
            program = words.next().unwrap_or_default();
        }
        if program.starts_with("python") && words.next() == Some("-m") {
            program = words.next().unwrap_or_default();
        }
        let program = program.rsplit('/').next().unwrap_or_default();
        let Some((name, packages)) = PYTHON_PROGRAMS.iter().find(|(name, _)| *name == program)
        else {
            continue;
        };
        if !packages.iter().any(|package| is_known(package))
            && !missing.iter().any(|(place, _)| *place == step.place)
        {
            missing.push((step.place.clone(), name));
        }
    }
    for (place, name) in missing {
        case.mark("run-tool-undeclared", place, name)?;
    }
    Ok(())
}

/// Images that install by a command which leaves the lock aside.
fn judge_lockless(case: &mut Case<'_>) -> Result<()> {
    const PASSING: [&str; 7] = [
        "--skip-lock",
        "--no-package-lock",
        "--no-lockfile",
        "npm update",
        "poetry update",
        "cargo update",
        "yarn upgrade",
    ];
    let facts = case.facts;
    let is_locked = facts.apps.iter().any(|app| app.lock.is_some());
    let mut found: Vec<(Place, &str)> = Vec::new();
    for image in facts.images.iter().filter(|image| is_locked && !image.is_of_editor()) {
        for run in image.named("RUN") {
            for (at, line) in run.text.lines().enumerate() {
                let passing = PASSING.iter().find(|word| line.contains(*word)).copied();
                // Cargo takes the lock of what it installs only where it is told to.
                let installs = line.contains("cargo install")
                    && line.contains("--path")
                    && !run.text.contains("--locked")
                    && !run.text.contains("--frozen");
                let what = passing.or_else(|| installs.then_some("cargo install --path"));
                let place = Place::line(image.path.clone(), run.line + at);
                found.extend(what.map(|what| (place, what)));
            }
        }
    }
    for (place, what) in found {
        case.mark_as("installs-past-lock", Severity::Risk, place, what)?;
    }
    Ok(())
}

/// The programs that a script's line calls, each without what sets variables before it.
fn called(command: &str) -> impl Iterator<Item = &str> {
    let parts = command.split(['&', '|', ';']);
    parts.filter_map(|part| {
        let mut words = part.split_whitespace().filter(|word| !word.contains('='));
        let first = words.next()?;
        // `cross-env A=b tool` calls the tool; that it is there itself, other scripts tell.
        if first == "cross-env" { words.next() } else { Some(first) }
    })
}

/// Images and pipelines that install by another manager than the one that wrote the lock.
fn judge_managers(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let mut installs: Vec<(Place, &str)> = Vec::new();
    for image in facts.images.iter().filter(|image| !image.is_of_editor()) {
        for run in image.named("RUN") {
            for (at, line) in run.text.lines().enumerate() {
                installs.push((Place::line(image.path.clone(), run.line + at), line));
            }
        }
    }
    installs.extend(facts.pipeline.iter().map(|step| (step.place.clone(), step.text.as_str())));
    let installs: Vec<_> = installs
        .into_iter()
        .filter_map(|(place, line)| install(line).map(|(manager, verb)| (place, manager, verb)))
        .collect();
    if installs.is_empty() {
        return Ok(());
    }
    let has_lock = |names: &[&str]| {
        let is_such = |path: &&crate::tree::RepoPath| names.contains(&path.file_name());
        case.sources.paths().filter(is_such).any(|path| case.sources.is_tracked(path))
    };
    let locked: Vec<&str> =
        LOCKS.iter().filter(|(_, names)| has_lock(names)).map(|(manager, _)| *manager).collect();
    for (place, manager, verb) in installs.into_iter().filter(|_| !locked.is_empty()) {
        if !locked.contains(&manager) {
            case.mark("lock-of-another-manager", place, &format!("{manager} {verb}"))?;
        } else if manager == "npm" && verb != "ci" {
            case.mark("installs-past-lock", place, &format!("npm {verb}"))?;
        }
    }
    Ok(())
}

/// The package manager that installs what the manifest names, with the word that it is told so by.
fn install(line: &str) -> Option<(&str, &str)> {
    line.split(['&', ';', '|']).find_map(|part| {
        let words: Vec<&str> = part.split_whitespace().collect();
        let at = words.iter().position(|word| matches!(*word, "npm" | "yarn" | "pnpm" | "bun"))?;
        let manager = words[at];
        // Only what may stand before a command does: `sudo`, `cd folder`, `-`, a variable.
        let is_before = |word: &&str| {
            matches!(*word, "sudo" | "-" | "run:" | "RUN" | "exec" | "corepack")
                || word.contains('=')
        };
        if !words[..at].iter().all(is_before) {
            return None;
        }
        let rest = &words[at + 1..];
        let verb = rest.iter().find(|word| !word.starts_with('-') && !word.contains('/'))?;
        let is_verb = matches!(*verb, "ci" | "i" | "install");
        let is_elsewhere = rest
            .iter()
            .any(|word| matches!(*word, "-g" | "--global" | "--prefix" | "-C" | "--cwd"));
        let names = rest.iter().filter(|word| !word.starts_with('-')).count();
        (is_verb && !is_elsewhere && names == 1).then_some((manager, *verb))
    })
}
