//! What a repository says of itself, before any rule looks: its apps, what is run, its settings, what is reached.

mod build;
pub mod compose;
pub mod image;
mod infrastructure;
pub mod manifest;
pub mod pipeline;
pub mod place;
pub mod platform;
mod provision;
pub mod reach;
mod resolve;
pub mod run;
mod script;
pub mod setting;
pub mod shell;
pub mod workflow;

use std::collections::BTreeMap;

use self::image::Image;
use self::manifest::App;
use self::reach::Reach;
use self::run::{Kind, Role, Run, Stage, Step};
use self::setting::Setting;
use super::document::{self, Node};
use super::finding::{Place, Unread};
use super::sources::{Part, Sources};
use crate::tree::RepoPath;

/// What a repository says of itself.
#[derive(Debug, Default)]
pub struct Facts {
    pub apps: Vec<App>,
    pub images: Vec<Image>,
    /// Everything that is run, with the role that it has.
    pub runs: Vec<Run>,
    /// What is run while a release is built.
    pub builds: Vec<Run>,
    pub settings: Vec<Setting>,
    /// Backing services by engine, with the version that is asked for.
    pub backing: Vec<Backing>,
    /// Versions of the runtime that are asked for.
    pub runtimes: Vec<Runtime>,
    pub reach: Reach,
    /// JSON, TOML and YAML as they were read.
    pub documents: BTreeMap<RepoPath, Vec<Node>>,
    /// The lines that pipelines run.
    pub pipeline: Vec<Step>,
    /// What builds or deploys outside of what is run: `docker build`, a deploy action.
    pub deliveries: Vec<Delivery>,
}

/// A backing service as a definition asks for it.
#[derive(Clone, Debug)]
pub struct Backing {
    pub place: Place,
    /// `postgres`, `redis`.
    pub engine: String,
    /// The tag or version as it is written; nothing where none is.
    pub version: Option<String>,
}

/// A runtime's version as a definition asks for it.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub place: Place,
    /// `python`, `node`, `rust`.
    pub name: String,
    /// Its first two numbers.
    pub version: (u32, Option<u32>),
    /// Whether it is a range, of which this is the lower end.
    pub is_minimum: bool,
    /// The versions that are tried beside it, where it is one of several.
    pub others: Vec<(u32, Option<u32>)>,
}

/// A step that leads to production.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub place: Place,
    /// The command, or the action that is used.
    pub what: String,
    /// The tags that it gives an image.
    pub tags: Vec<String>,
}

impl Facts {
    /// Reads them; what is broken is named in `unread`.
    #[must_use]
    pub fn read(sources: &Sources, unread: &mut Vec<Unread>) -> Self {
        let mut facts = Self::default();
        for (path, source) in sources.iter() {
            let is_left_out = match source.part {
                Part::Foreign => true,
                // A pipeline that tests is no test.
                Part::Test => !workflow::is_workflow(path),
                _ => false,
            };
            if !is_document(path) || is_left_out {
                continue;
            }
            match document::read(path.file_name(), &source.text) {
                Ok(nodes) => {
                    facts.documents.insert(path.clone(), nodes);
                }
                Err(reason) if is_own_document(path) => {
                    unread.push(Unread { path: path.to_string(), reason });
                }
                Err(_) => {}
            }
        }
        facts.apps = manifest::read(sources, &facts.documents);
        for (path, source) in sources.named(super::sources::is_image_name) {
            facts.images.push(Image::read(path, &source.text));
        }
        run::read_procfiles(sources, &mut facts);
        compose::read(sources, &mut facts);
        platform::read(&mut facts);
        infrastructure::read(sources, &mut facts);
        place::settle(sources, &mut facts);
        run::read_images(&mut facts);
        compose::settle(&mut facts);
        script::read_supervisor(sources, &mut facts);
        run::read_start_scripts(&mut facts);
        script::read_start_scripts(sources, &mut facts);
        script::read_make(sources, &mut facts);
        build::read(sources, &mut facts);
        script::expand(sources, &mut facts);
        compose::settle_images(&mut facts);
        workflow::read(&mut facts);
        shell::read(sources, &mut facts);
        manifest::read_runtimes(sources, &mut facts);
        provision::read(sources, &mut facts);
        setting::read(sources, &mut facts);
        facts.reach = Reach::find(sources, &facts);
        facts
    }

    /// The documents whose path is such.
    pub fn documents<'a>(
        &'a self,
        is_such: impl Fn(&RepoPath) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a RepoPath, &'a Node)> {
        let such = self.documents.iter().filter(move |(path, _)| is_such(path));
        such.flat_map(|(path, nodes)| nodes.iter().map(move |node| (path, node)))
    }

    /// Whether an app, or any of these, declares one of these packages.
    #[must_use]
    pub fn declares(&self, packages: &[&str]) -> bool {
        self.apps.iter().any(|app| packages.iter().any(|package| app.declares(package)))
    }

    /// What is run in production; where nothing is said to be, all that is no test.
    #[must_use]
    pub fn production(&self) -> Vec<&Run> {
        let defined = || self.runs.iter().filter(|run| run.is_definition());
        // `Dockerfile` beside `Dockerfile.prod` is for development.
        let is_replaced = |run: &Run| {
            run.stage == Stage::Any
                && run.image.as_ref().is_some_and(|own| {
                    self.images.iter().any(|other| {
                        let end = other.path.as_str().strip_prefix(own.as_str());
                        end.is_some_and(|end| matches!(end, ".prod" | ".production"))
                    })
                })
        };
        let decides = |run: &&Run| run.stage != Stage::Development && !is_replaced(run);
        let of_production: Vec<_> = defined().filter(decides).collect();
        if of_production.iter().any(|run| run.role == Role::Web || run.role == Role::Worker) {
            return of_production;
        }
        defined().collect()
    }

    /// What is run in production; where nothing defines it, what the manifest starts.
    #[must_use]
    pub fn started(&self) -> Vec<&Run> {
        let defined = self.production();
        if !defined.is_empty() {
            return defined;
        }
        self.of_manifests()
    }

    /// What serves in production, or else what the manifest starts.
    #[must_use]
    pub fn servers(&self) -> Vec<&Run> {
        let defined: Vec<_> =
            self.production().into_iter().filter(|run| run.role == Role::Web).collect();
        if !defined.is_empty() {
            return defined;
        }
        self.of_manifests()
    }

    /// What manifests start: of each the one that is meant for production, if it names one, or else `start`.
    fn of_manifests(&self) -> Vec<&Run> {
        let rank = |run: &Run| match run.name.as_str() {
            "start:prod" | "start:production" | "prod" => 2,
            "start" => 1,
            _ => 0,
        };
        let served =
            || self.runs.iter().filter(|run| run.role == Role::Web && run.kind == Kind::Manifest);
        let is_best = |run: &&Run| {
            let beside = served().filter(|other| other.folder == run.folder);
            beside.map(rank).max().is_none_or(|best| best == rank(run))
        };
        served().filter(is_best).collect()
    }
}

fn is_document(path: &RepoPath) -> bool {
    let end = path.file_name().rsplit_once('.').map(|(_, end)| end);
    matches!(end, Some("json" | "jsonc" | "toml" | "yaml" | "yml"))
        && !path.file_name().contains("lock")
}

/// A document that one of the readers needs, so that it is told of where it is broken.
fn is_own_document(path: &RepoPath) -> bool {
    let name = path.file_name();
    matches!(
        name,
        "package.json" | "Cargo.toml" | "pyproject.toml" | "fly.toml" | "app.json" | "render.yaml"
    ) || compose::is_compose_name(name)
        || workflow::is_workflow(path)
        || path.as_str() == ".do/app.yaml"
}
