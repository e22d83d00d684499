//! Config: does what varies between deploys come from the environment?

use super::case::{Case, Judgement};
use super::facts::setting::{Origin, is_config_file};
use super::finding::{Place, Severity};
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
    // A file of defaults that the environment overrides is a risk; without that it is the only way.
    if case.has("file-overridden-by-environment") {
        for id in ["config-file-secret", "config-file-address", "config-file-handle"] {
            case.weigh(id, Severity::Risk);
        }
    }
    weigh_by_variables(case)?;
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
    Ok(())
}

/// A literal beside a variable that replaces it is an insecure default; alone it is the only way.
fn weigh_by_variables(case: &mut Case<'_>) -> Result<()> {
    let reading: Vec<RepoPath> =
        case.by("reads-secret").map(|mark| mark.place.path.clone()).collect();
    for mark in &mut case.marks {
        let is_literal = matches!(
            mark.rule.id.as_str(),
            "secret-literal" | "secret-literal-in-script" | "secret-literal-in-rust"
        );
        if is_literal && reading.contains(&mark.place.path) {
            mark.severity = Severity::Risk;
        }
    }
    if super::backing_services::has_variable(case) {
        case.weigh("url-with-password", Severity::Risk);
    }
    let reads = case.speaks_for(Factor::Config);
    for mark in case.marks.iter_mut().filter(|mark| mark.rule.id == "env-file-secret") {
        let name = mark.place.path.file_name();
        if reads && !["prod", "staging", "live"].iter().any(|word| name.contains(word)) {
            mark.severity = Severity::Risk;
        }
    }
    // Where nothing is read at all, the address is the configuration that there is.
    let addresses: Vec<Place> = case.by("port-literal").map(|mark| mark.place.clone()).collect();
    for place in addresses.into_iter().filter(|_| !reads) {
        case.mark("address-literal", place, "")?;
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
        let is_leak = case.by("env-file-secret").any(|mark| mark.place.path == setting.place.path);
        let place = own
            .clone()
            .find(|other| !is_tooling(&other.name))
            .map_or_else(|| setting.place.clone(), |other| other.place.clone());
        if !is_leak {
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
