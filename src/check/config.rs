//! Config: does what varies between deploys come from the environment?

use std::collections::BTreeSet;

use super::case::{Case, Judgement};
use super::facts::setting::{Origin, is_config_file};
use super::finding::{Mark, Place, Severity};
use super::unknown;
use crate::error::Result;
use crate::factor::Factor;
use crate::tree::RepoPath;

/// Names of environments, as files and folders of configuration are called after them.
const ENVIRONMENTS: [&str; 9] =
    ["production", "prod", "staging", "development", "dev", "local", "test", "testing", "qa"];

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    judge_settings(case)?;
    judge_environment_files(case)?;
    judge_imported_files(case)?;
    judge_keys(case)?;
    super::env_files::judge(case)?;
    judge_scripts(case)?;
    drop_development(case);
    judge_hosts(case);
    find_mapping(case)?;
    // A file of defaults that the environment overrides is a risk; without that it is the only way.
    if case.has("file-overridden-by-environment") {
        for id in [
            "config-file-secret",
            "config-file-credential",
            "config-file-address",
            "config-file-handle",
        ] {
            case.weigh(id, Severity::Risk);
        }
        keep_telling_defaults(case);
    }
    weigh_by_variables(case);
    weigh_compose(case)?;
    judge_untracked_files(case)?;
    // A default beside a variable that is read is no literal alone.
    let defaulted: Vec<Place> = case.by("secret-default").map(|mark| mark.place.clone()).collect();
    let covers = |place: &Place| {
        defaulted.iter().any(|known| {
            known.path == place.path && known.line <= place.line && place.line <= known.end_line
        })
    };
    case.drop_marks(|mark| {
        matches!(mark.rule.id.as_str(), "secret-literal" | "url-with-password")
            && covers(&mark.place)
    });
    drop_beside(case, "env-file-tracked", "environment-tracked");
    // A URL with a password in it is more than an address.
    drop_beside(case, "config-file-address", "config-file-credential");
    Ok(())
}

/// Drops the marks of a rule where another one says more of the same line.
fn drop_beside(case: &mut Case<'_>, id: &str, other: &str) {
    let places: Vec<Place> = case.by(other).map(|mark| mark.place.clone()).collect();
    case.drop_marks(|mark| {
        mark.rule.id == id
            && places
                .iter()
                .any(|place| place.path == mark.place.path && place.line == mark.place.line)
    });
}

/// A literal beside a variable that replaces it is an insecure default; alone it is the only way.
fn weigh_by_variables(case: &mut Case<'_>) {
    let reading: Vec<(RepoPath, BTreeSet<String>)> = case
        .by("reads-secret")
        .map(|mark| (mark.place.path.clone(), words_at(case, &mark.place)))
        .collect();
    let is_replaced = |mark: &Mark<'_>| {
        let mut own = words_at(case, &mark.place);
        for secret in &mark.secrets {
            own.retain(|word| !secret.to_lowercase().contains(word.as_str()));
        }
        reading.iter().any(|(path, words)| *path == mark.place.path && are_of_one(&own, words))
    };
    let replaced: Vec<bool> = case
        .marks
        .iter()
        .map(|mark| mark.rule.id.starts_with("secret-literal") && is_replaced(mark))
        .collect();
    for (mark, is_replaced) in case.marks.iter_mut().zip(replaced) {
        if is_replaced {
            mark.severity = Severity::Risk;
        }
    }
    if super::backing_services::has_variable(case) {
        case.weigh("url-with-password", Severity::Risk);
        case.weigh("config-file-credential", Severity::Risk);
    }
    let reads = case.speaks_for(Factor::Config);
    for mark in case.marks.iter_mut().filter(|mark| mark.rule.id == "env-file-secret") {
        let name = mark.place.path.file_name();
        if reads && !["prod", "staging", "live"].iter().any(|word| name.contains(word)) {
            mark.severity = Severity::Risk;
        }
    }
}

/// What every secret is called.
const ANY_SECRET: [&str; 9] =
    ["secret", "password", "pass", "passwd", "pwd", "key", "api", "token", "private"];
/// What stands around any of them.
const ANY_CODE: [&str; 16] = [
    "process", "env", "os", "environ", "get", "getenv", "config", "const", "let", "var", "string",
    "default", "app", "self", "std", "settings",
];

/// The words of the names in a place's line, in lower case, that tell which secret it is about.
fn words_at(case: &Case<'_>, place: &Place) -> BTreeSet<String> {
    let text = case.sources.get(&place.path).map_or("", |source| source.text.as_str());
    let line = super::lines::line(text, place.line);
    let names: Vec<&str> =
        line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
    let is_of_secret = |name: &&&str| {
        let lower = name.to_lowercase();
        ANY_SECRET.iter().chain(&["jwt"]).any(|word| lower.contains(word))
    };
    let of_secret: Vec<&str> = names.iter().filter(is_of_secret).copied().collect();
    let told = if of_secret.is_empty() { names } else { of_secret }.join(" ");
    let mut spaced = String::new();
    let mut was_lower = false;
    for letter in told.chars() {
        if was_lower && letter.is_uppercase() {
            spaced.push(' ');
        }
        was_lower = letter.is_lowercase();
        spaced.extend(letter.to_lowercase());
    }
    spaced
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| word.len() > 1 && !ANY_CODE.contains(word))
        .map(str::to_owned)
        .collect()
}

/// Whether a literal and a variable are the same secret: `jwtSecret` is not `STRIPE_SECRET`, and may be `SECRET`.
fn are_of_one(literal: &BTreeSet<String>, variable: &BTreeSet<String>) -> bool {
    let own = |words: &BTreeSet<String>| -> BTreeSet<String> {
        words.iter().filter(|word| !ANY_SECRET.contains(&word.as_str())).cloned().collect()
    };
    let (one, other) = (own(literal), own(variable));
    if one.is_empty() || other.is_empty() {
        return !literal.is_disjoint(variable);
    }
    !one.is_disjoint(&other)
}

/// So many places that hang on the environment's name are more than an error page and the log.
const MANY_SWITCHES: usize = 4;
/// So many of them say enough.
const MAX_SWITCHES: usize = 16;

/// What is worth a word only beside something else that is wrong, or where nothing is read at all.
pub fn weigh_together(case: &mut Case<'_>) -> Result<()> {
    let reads = case.speaks_for(Factor::Config);
    let weight = if reads { Severity::Risk } else { Severity::Violation };
    for place in super::backing_services::handles(case) {
        case.mark_as("handle-in-code", weight, place, "")?;
    }
    // Where nothing is read at all, what stands in the code is the configuration that there is.
    if !reads {
        for place in super::backing_services::sqlite_places(case) {
            case.mark_as("handle-in-code", Severity::Violation, place, "")?;
        }
    }
    drop_beside(case, "handle-in-code", "url-with-password");
    let is_switch = |mark: &Mark<'_>| mark.rule.id.starts_with("environment-switch");
    let switches: Vec<Place> =
        case.marks.iter().filter(|mark| is_switch(mark)).map(|mark| mark.place.clone()).collect();
    case.drop_marks(|mark| {
        mark.rule.id == "environment-behaviour"
            && switches.iter().any(|place| {
                place.path == mark.place.path
                    && place.line <= mark.place.line
                    && mark.place.line <= place.end_line
            })
    });
    // What a browser shows is no behaviour of the service.
    let mut count = 0;
    case.marks.retain(|mark| {
        let path = mark.place.path.as_str();
        mark.rule.id != "environment-behaviour"
            || (!path.ends_with(".tsx") && !path.ends_with(".jsx") && {
                count += 1;
                count <= MAX_SWITCHES
            })
    });
    let is_broken =
        case.marks.iter().any(|mark| mark.rule.factor == Factor::Config && mark.is_against());
    if is_broken || case.by("environment-behaviour").count() >= MANY_SWITCHES {
        let is_grouped = !switches.is_empty()
            || case.has("environment-behaviour")
            || ["environment-file", "environment-class", "environment-table"]
                .iter()
                .any(|id| case.has(id));
        case.weigh("environment-behaviour", Severity::Risk);
        case.weigh("hosts-any", Severity::Risk);
        case.weigh("origin-any", Severity::Risk);
        case.weigh("address-of-mail", Severity::Risk);
        case.weigh("docs-address", Severity::Risk);
        if is_grouped {
            case.weigh("environment-in-definition", Severity::Risk);
            case.weigh("environment-in-command", Severity::Risk);
        }
    }
    if is_broken || !reads {
        let addresses: Vec<Place> =
            case.by("port-literal").map(|mark| mark.place.clone()).collect();
        for place in addresses {
            case.mark("address-literal", place, "")?;
        }
    }
    Ok(())
}

/// Of the defaults that a variable replaces, one address says what all do, and a secret that is left empty is none.
fn keep_telling_defaults(case: &mut Case<'_>) {
    let mut seen = BTreeSet::new();
    case.marks.retain(|mark| match mark.rule.id.as_str() {
        "config-file-address" => seen.insert(mark.place.path.clone()),
        "config-file-secret" => mark.secrets.iter().any(|secret| !secret.is_empty()),
        _ => true,
    });
}

/// The file in which node-config is told which variable replaces which value, and Rocket's, where each has one.
fn find_mapping(case: &mut Case<'_>) -> Result<()> {
    let is_mapping = |path: &&RepoPath| {
        path.file_name().split('.').next() == Some("custom-environment-variables")
            || path.file_name() == "Rocket.toml"
    };
    let found = case.sources.paths().find(is_mapping).cloned();
    if let Some(path) = found {
        case.mark("file-overridden-by-environment", Place::line(path, 1), "")?;
    }
    Ok(())
}

/// A private key that git has, and that no test and no example is for.
fn judge_keys(case: &mut Case<'_>) -> Result<()> {
    let is_other = |folder: &str| {
        ["example", "sample", "doc", "test", "fixture", "mock"]
            .iter()
            .any(|word| folder.starts_with(word))
    };
    let mut found = Vec::new();
    for (path, source) in case.sources.iter() {
        let is_tracked_key = source.grammar.is_none()
            && source.part != super::sources::Part::Test
            && super::codebase::is_key(&source.text)
            // What encrypts between a browser and the same machine guards nothing.
            && !["localhost", "dev", "self", "snakeoil", "test"]
                .iter()
                .any(|word| path.file_name().contains(word))
            && case.sources.is_tracked(path);
        if is_tracked_key && !super::sources::folders(path).any(is_other) {
            found.push(path.clone());
        }
    }
    for path in found {
        let name = path.file_name().to_owned();
        case.mark("key-tracked", Place::line(path, 1), &name)?;
    }
    Ok(())
}

/// `node --env-file=.env`, `env-cmd`: without the file, nothing starts.
fn judge_scripts(case: &mut Case<'_>) -> Result<()> {
    let is_own = |name: &str| {
        ["dev", "test", "watch", "lint", "local", "debug", "e2e"]
            .iter()
            .any(|word| name.contains(word))
    };
    let mut found = Vec::new();
    for app in &case.facts.apps {
        for script in app.scripts.iter().filter(|script| !is_own(&script.name)) {
            let words = || script.command.split_whitespace();
            if words().any(|word| {
                word == "env-cmd" || word == "--env-file" || word.starts_with("--env-file=")
            }) && !words().any(|word| word == "docker")
            {
                found.push(Place::line(app.manifest.clone(), script.line));
            }
        }
    }
    for place in found {
        case.mark("dotenv-mandatory", place, "")?;
    }
    Ok(())
}

/// What only the settings of a development machine say: `settings/local.py` is one finding, and not each line of it.
fn drop_development(case: &mut Case<'_>) {
    let is_development = |path: &RepoPath| {
        let name = path.file_name();
        let stem = name.strip_suffix(".py").unwrap_or_default();
        let in_settings = super::sources::folders(path)
            .last()
            .is_some_and(|folder| matches!(folder, "settings" | "config" | "configs"));
        let is_such = |stem: &str| {
            matches!(stem, "local" | "dev" | "develop" | "development" | "test" | "testing" | "ci")
        };
        let named = ["settings_", "config_"].iter().find_map(|start| stem.strip_prefix(start));
        let ends = ["_settings", "_config"].iter().find_map(|end| stem.strip_suffix(end));
        in_settings && is_such(stem) || named.or(ends).is_some_and(is_such)
    };
    let by_default = default_settings(case);
    case.drop_marks(|mark| {
        let is_default = by_default.contains(&mark.place.path)
            && matches!(mark.rule.id.as_str(), "django-debug" | "django-hosts");
        let is_mode = matches!(
            mark.rule.id.as_str(),
            "django-debug"
                | "django-hosts"
                | "hosts-empty"
                | "hosts-any"
                | "mail-backend-literal"
                | "mail-service-literal"
                | "address-of-mail"
                | "secret-default"
        );
        is_mode && !is_default && is_development(&mark.place.path)
    });
}

/// The settings of a development machine that are taken where nothing is said, unless the server's entry point takes
/// those of production.
pub fn default_settings(case: &Case<'_>) -> BTreeSet<RepoPath> {
    let named: Vec<String> = case
        .by("settings-module-default")
        .filter_map(|mark| {
            let text = case.sources.get(&mark.place.path)?.text.lines();
            let lines =
                text.skip(mark.place.line - 1).take(mark.place.end_line + 1 - mark.place.line);
            let call = lines.collect::<Vec<_>>().join(" ");
            let module = call.rsplit(['"', '\'']).nth(1)?;
            Some(format!("{}.py", module.replace('.', "/")))
        })
        .collect();
    if named.is_empty() {
        return BTreeSet::new();
    }
    let is_served_otherwise = case.sources.iter().any(|(path, source)| {
        matches!(path.file_name(), "wsgi.py" | "asgi.py")
            && source
                .text
                .lines()
                .any(|line| line.contains("DJANGO_SETTINGS_MODULE") && line.contains("prod"))
    });
    let is_named = |path: &&RepoPath| {
        named.iter().any(|name| {
            path.as_str() == name
                || path.as_str().strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('/'))
        })
    };
    if is_served_otherwise {
        return BTreeSet::new();
    }
    case.sources.paths().filter(is_named).cloned().collect()
}

/// Constants that another place replaces, and what only a server for development takes.
fn judge_hosts(case: &mut Case<'_>) {
    if case.has("hosts-read") {
        case.drop_marks(|mark| mark.rule.id == "hosts-empty");
    }
    let has_server = case.facts.runs.iter().any(|run| {
        ["gunicorn", "uwsgi", "waitress", "hypercorn", "flask run"]
            .iter()
            .any(|server| run.main().contains(server))
    });
    if has_server {
        case.drop_marks(|mark| mark.rule.id == "debug-in-run");
    }
}

/// The service's own key in the only compose file that there is: no throw-away password of a database.
fn weigh_compose(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    if facts.settings.iter().any(|setting| setting.origin == Origin::ComposeProduction) {
        return Ok(());
    }
    let rule = case.rules.get("compose-key")?;
    let is_own_key = |place: &Place| {
        let name = place.path.as_str().to_lowercase();
        let is_development =
            ["dev", "local", "test", "override", "debug"].iter().any(|word| name.contains(word));
        let such = facts.settings.iter().filter(|setting| setting.place == *place);
        let mut names = such.map(|setting| setting.name.to_lowercase());
        !is_development
            && names.any(|name| {
                ["secret_key", "jwt", "api_key", "session_secret", "cookie_secret", "private_key"]
                    .iter()
                    .any(|word| name.contains(word))
            })
    };
    for mark in &mut case.marks {
        if mark.rule.id == "compose-secret-in-development" && is_own_key(&mark.place) {
            let name = facts.settings.iter().find(|setting| setting.place == mark.place);
            let secrets = std::mem::take(&mut mark.secrets);
            *mark = Mark::new(rule, mark.place.clone())
                .about(name.map_or("", |setting| setting.name.as_str()));
            mark.secrets = secrets;
        }
    }
    Ok(())
}

/// `config.ts.example` beside a `config.ts` that git ignores: better than a tracked one, and no environment.
fn judge_untracked_files(case: &mut Case<'_>) -> Result<()> {
    let severity =
        if case.speaks_for(Factor::Config) { Severity::Risk } else { Severity::Violation };
    let mut found = Vec::new();
    for path in case.sources.paths() {
        let base = [".example", ".sample", ".dist", ".template"]
            .iter()
            .find_map(|end| path.as_str().strip_suffix(end));
        let Some(base) = base else { continue };
        let is_code = ["ts", "js", "py", "json", "yaml", "yml", "toml"]
            .iter()
            .any(|end| base.rsplit_once('.').is_some_and(|(_, found)| found == *end));
        let is_config = ["config", "settings", "local", "secret", "credential"]
            .iter()
            .any(|word| base.contains(word));
        if is_code
            && is_config
            && !case.sources.has(base)
            && super::sources::part_of(path) == super::sources::Part::Service
        {
            found.push(path.clone());
        }
    }
    for path in found {
        let name = path.file_name().to_owned();
        case.mark_as("file-untracked", severity, Place::line(path, 1), &name)?;
    }
    Ok(())
}

/// A tracked `.env` with nothing in it but switches is a file too many, and no leak.
fn judge_settings(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let mut seen: Option<&RepoPath> = None;
    for setting in facts.settings.iter().filter(|setting| setting.origin == Origin::Env) {
        if seen == Some(&setting.place.path) {
            continue;
        }
        seen = Some(&setting.place.path);
        // The values that only tell a tool what to run.
        let own = facts.settings.iter().filter(|other| other.place.path == setting.place.path);
        let is_tooling = |name: &str| {
            matches!(name, "FLASK_APP" | "PYTHONPATH" | "PYTHONUNBUFFERED" | "COMPOSE_PROJECT_NAME")
        };
        if own.clone().all(|other| is_tooling(&other.name)) {
            continue;
        }
        let is_leak = ["env-file-secret", "env-file-placeholder"]
            .iter()
            .flat_map(|id| case.by(id))
            .any(|mark| mark.place.path == setting.place.path);
        let place = own
            .clone()
            .find(|other| !is_tooling(&other.name))
            .map_or_else(|| setting.place.clone(), |other| other.place.clone());
        let is_tool_file = [".toml", ".json"].iter().any(|end| place.path.as_str().ends_with(end));
        if !is_leak && !is_tool_file {
            case.mark("env-file-tracked", place, setting.place.path.as_str())?;
        }
    }
    Ok(())
}

/// `config/production.json`, `settings/prod.py`, `.env.production`: configuration grouped by name.
fn judge_environment_files(case: &mut Case<'_>) -> Result<()> {
    let mut named: Vec<(String, RepoPath)> = Vec::new();
    for (path, source) in case.sources.iter() {
        let stem = path.file_name().split('.').next().unwrap_or_default();
        let folder = super::sources::folder_of(path);
        let is_settings =
            ["settings/", "config/", "configuration/", "environments/", "env/", "configs/"]
                .iter()
                .any(|end| folder.ends_with(end));
        let is_code = source.grammar.is_some() || is_config_file(path);
        if is_settings && is_code && ENVIRONMENTS.contains(&stem.to_lowercase().as_str()) {
            named.push((folder.to_owned(), path.clone()));
        }
    }
    for (folder, path) in &named {
        let beside = named.iter().filter(|(other, _)| other == folder);
        let is_test = path.file_name().starts_with("test");
        if beside.count() > 1 && !is_test {
            case.mark("environment-file", Place::line(path.clone(), 1), path.file_name())?;
        }
    }
    Ok(())
}

/// `require('config.json')`: what is in the file can be changed by a commit only.
fn judge_imported_files(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let files: Vec<&RepoPath> = facts
        .settings
        .iter()
        .filter(|setting| {
            setting.origin == Origin::File && case.sources.is_tracked(&setting.place.path)
        })
        .map(|setting| &setting.place.path)
        .collect();
    let found: Vec<Place> = case
        .by("imports-package")
        .filter(|mark| {
            let name = mark.message.rsplit('/').next().unwrap_or_default();
            name.ends_with(".json") && files.iter().any(|path| path.file_name() == name)
        })
        .map(|mark| mark.place.clone())
        .collect();
    // `require('config.json')[env]`.
    let chosen = case.by("environment-switch").map(|mark| mark.place.clone());
    let is_of_file = |place: &Place| {
        let text = case.sources.get(&place.path).map_or("", |source| source.text.as_str());
        let line = super::lines::line(text, place.line);
        files.iter().any(|path| line.contains(path.file_name()))
    };
    let found: Vec<Place> = found.into_iter().chain(chosen.filter(is_of_file)).collect();
    let weighs = ["config-file-secret", "config-file-handle"].iter().any(|id| case.has(id));
    for place in found.into_iter().filter(|_| weighs) {
        case.mark("config-file-imported", place, "")?;
    }
    Ok(())
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    if case.speaks_for(Factor::Config) {
        return Judgement::new(
            super::finding::Verdict::Met,
            "reads its variables from the environment",
        );
    }
    unknown("nothing that is read tells what varies between deploys")
}
