//! Factor X, dev/prod parity: every place names the same services in the same major version; no stand-ins.
//!
//! Only what the files say: that images build and run is tested where there is an engine to run them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};

use crate::case::{Case, Claim};
use crate::project::{NAME, Project};
use crate::tree::extension;
use crate::variables::{OPTIONAL, REQUIRED};

pub const FACTOR: &str = "dev-prod-parity";

pub const CLAIMS: &[Claim] = &[
    Claim::new("no SQLite anywhere", no_sqlite),
    Claim::new(
        "compose, CI and Kubernetes name the same database and Redis in the same major version",
        same_images,
    ),
    Claim::new("no image is tagged latest, or not tagged at all", no_floating_image),
    Claim::new(
        ".env.example has the variables of the contract, those that the stack declares, and no others",
        same_variables,
    ),
    Claim::new(".env.example names the engine that compose and CI run", same_engine),
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
fn images(project: &Project) -> Result<Vec<Image>> {
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
                    .filter(|image| !image.name.contains(['$', '{']) && image.name != NAME),
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
    for file in project.tracked()? {
        // Prose may say that there is none; a lock file lists what others could use.
        if extension(&file) == "md" || file.ends_with(&case.stack().lock) {
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
    let images = images(case.project()?)?;
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
    for image in images(case.project()?)? {
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
    for name in REQUIRED.iter().chain(&OPTIONAL) {
        ensure!(example.contains_key(*name), ".env.example does not have {name}");
    }
    for name in example.keys() {
        ensure!(
            REQUIRED.contains(&name.as_str())
                || OPTIONAL.contains(&name.as_str())
                || case.stack().own_variables.contains(name),
            ".env.example has {name}, which is no variable of the contract or of the stack"
        );
    }
    Ok(())
}

fn same_engine(case: &Case) -> Result<()> {
    let project = case.project()?;
    let example = example(project)?;
    let url = example.get("DATABASE_URL").map(String::as_str).unwrap_or_default();
    let scheme = url.trim_matches(['"', '\'']).split("://").next().unwrap_or_default();
    let engine = match scheme {
        "postgres" | "postgresql" => "postgres",
        "mysql" => "mysql",
        _ => bail!(".env.example has no DATABASE_URL of either engine: {url:?}"),
    };
    for image in images(project)? {
        let runs = match image.name.as_str() {
            "postgres" => "postgres",
            "mysql" | "mariadb" => "mysql",
            _ => continue,
        };
        ensure!(runs == engine, ".env.example names {engine}, {} runs {runs}", image.file);
    }
    Ok(())
}
