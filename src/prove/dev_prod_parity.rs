//! Factor X, dev/prod parity: every place names the same services in the same major version; no stand-ins.
//!
//! Only what the files say: that images build and run is tested where there is an engine to run them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};

use super::backing::Engine;
use super::case::Case;
use super::claim::{Claim, Need};
use super::probe::clone::Project;
use super::probe::snapshot::extension;
use super::untested::Untested;

pub const CLAIMS: &[Claim] = &[
    Claim::new("no SQLite stands in for the database anywhere", no_sqlite)
        .hint("run the same engine everywhere: compose starts it in a second"),
    Claim::new(
        "compose, CI and Kubernetes name the same database and Redis in the same major version",
        same_images,
    )
    .hint("name one version of each service, everywhere"),
    Claim::new("no image is tagged latest, or not tagged at all", no_floating_image)
        .hint("name the version of every image"),
    Claim::new(
        ".env.example has the variables of the contract, those that the stack declares, and no others",
        same_variables,
    )
    .needs(&[Need::Contract]),
    Claim::new(".env.example names the engine that compose and CI run", same_engine)
    .hint("run the engine that production runs everywhere"),
];

const DATABASES: [&str; 3] = ["postgres", "mysql", "mariadb"];
const REDIS: [&str; 2] = ["redis", "valkey"];

/// An image as a file names it.
#[derive(Debug)]
struct Image {
    file: String,
    name: String,
    tag: Option<String>,
}

impl Image {
    /// `ghcr.io/owner/postgres:18-trixie@sha256:…` is `postgres`, `18-trixie`.
    fn parse(file: &str, reference: &str) -> Self {
        let reference = reference.trim().trim_matches(['"', '\'']);
        let (reference, digest) = match reference.split_once('@') {
            Some((reference, digest)) => (reference, Some(digest)),
            None => (reference, None),
        };
        let last = reference.rsplit('/').next().unwrap_or(reference);
        let (name, tag) = match last.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (last, digest),
        };
        Self { file: file.to_owned(), name: name.to_owned(), tag: tag.map(str::to_owned) }
    }

    fn major(&self) -> &str {
        let tag = self.tag.as_deref().unwrap_or_default();
        tag.split(['.', '-']).next().unwrap_or_default()
    }
}

/// The images that the tracked files run or build on, without those that they build themselves.
fn images(project: &Project, own: &str) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for file in project.tracked()? {
        let Some(text) = project.read(&file) else {
            continue;
        };
        let name = file.rsplit('/').next().unwrap_or(&file);
        if name.starts_with("Dockerfile") || name.ends_with(".Dockerfile") {
            images.extend(base_images(&file, &text));
        } else if ["yaml", "yml"].contains(&extension(name)) {
            let named = text.lines().filter_map(|line| {
                let line = line.trim().trim_start_matches("- ");
                // A job may have that name, too.
                line.strip_prefix("image:").filter(|reference| !reference.trim().is_empty())
            });
            // What stands for a variable is a value of the deploy, and so is the service's own image.
            images.extend(
                named
                    .map(|reference| Image::parse(&file, reference))
                    .filter(|image| !image.name.contains(['$', '{']) && image.name != own),
            );
        }
    }
    Ok(images)
}

fn base_images(file: &str, text: &str) -> Vec<Image> {
    let mut stages = BTreeSet::from(["scratch".to_owned()]);
    let mut images = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace().filter(|word| !word.starts_with("--"));
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("FROM")) {
            continue;
        }
        let reference = words.next().unwrap_or_default();
        if !stages.contains(reference) && !reference.contains('$') {
            images.push(Image::parse(file, reference));
        }
        if words.next().is_some_and(|word| word.eq_ignore_ascii_case("AS")) {
            stages.extend(words.next().map(str::to_owned));
        }
    }
    images
}

fn no_sqlite(case: &Case) -> Result<()> {
    // What a test needs to run on it. That the service refuses its URL is a test worth having.
    const IN_USE: [&str; 6] =
        ["sqlite3", "aiosqlite", "better-sqlite", "sqlite+", "sqlite:memory", "sqlite::memory"];
    let project = case.project()?;
    if case.subject().engine.is_none() {
        return Err(
            Untested::Pointless { why: "no database that SQLite could stand in for" }.into()
        );
    }
    for file in project.tracked()? {
        // Prose may say that there is none; a lock file lists what others could use.
        if extension(&file) == "md"
            || case.subject().lock.as_ref().is_some_and(|lock| file.ends_with(lock.as_str()))
        {
            continue;
        }
        let Some(text) = project.read(&file) else {
            continue;
        };
        let is_test = file.split(['/', '_', '.']).any(|part| part.starts_with("test"));
        for (number, line) in text.to_lowercase().lines().enumerate() {
            let used = IN_USE.iter().any(|name| line.contains(name));
            ensure!(
                !used && (is_test || !line.contains("sqlite")),
                "{file}:{} speaks of SQLite: {line}",
                number + 1
            );
        }
    }
    Ok(())
}

fn same_images(case: &Case) -> Result<()> {
    let images = images(case.project()?, &case.subject().name)?;
    if images.is_empty() {
        return Err(Untested::Pointless { why: "no file names an image of a service" }.into());
    }
    for kind in [&DATABASES[..], &REDIS[..]] {
        let mut named: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for image in images.iter().filter(|image| kind.contains(&image.name.as_str())) {
            let version = format!("{}:{}", image.name, image.major());
            named.entry(version).or_default().push(&image.file);
        }
        if named.len() > 1 {
            bail!("not everywhere the same: {named:?}");
        }
    }
    Ok(())
}

fn no_floating_image(case: &Case) -> Result<()> {
    for image in images(case.project()?, &case.subject().name)? {
        let Image { file, name, tag } = &image;
        match tag.as_deref() {
            None | Some("") => bail!("{file}: the image {name} has no tag"),
            Some("latest") => bail!("{file}: the image {name} is tagged latest"),
            Some(_) => {}
        }
    }
    Ok(())
}

/// The variables of `.env.example`, those in comments too: what is optional may stand there.
fn example(project: &Project) -> Result<BTreeMap<String, String>> {
    let text = project.read(".env.example").context("there is no .env.example")?;
    let variables = text.lines().filter_map(|line| {
        let (name, value) = line.trim().trim_start_matches(['#', ' ']).split_once('=')?;
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        is_name.then(|| (name.to_owned(), value.trim().to_owned()))
    });
    Ok(variables.collect())
}

fn same_variables(case: &Case) -> Result<()> {
    let example = example(case.project()?)?;
    let declared = &case.subject().variables;
    for variable in declared {
        ensure!(
            example.contains_key(&variable.name),
            ".env.example does not have {}",
            variable.name
        );
    }
    for name in example.keys() {
        ensure!(
            declared.iter().any(|variable| variable.name == *name),
            ".env.example has {name}, which is no variable of the contract or of the stack"
        );
    }
    Ok(())
}

fn same_engine(case: &Case) -> Result<()> {
    let project = case.project()?;
    let Some(engine) = case.subject().engine else {
        return Err(Untested::Pointless { why: "no database" }.into());
    };
    for image in images(project, &case.subject().name)? {
        let runs = match image.name.as_str() {
            "postgres" => Engine::Postgres,
            "mysql" | "mariadb" => Engine::Mysql,
            _ => continue,
        };
        ensure!(runs == engine, ".env.example names {engine}, {} runs {runs}", image.file);
    }
    Ok(())
}
