//! Build, release, run: are the three strictly apart?

use super::case::{Case, Judgement};
use super::document::Node;
use super::facts::image::{Image, Instruction};
use super::facts::manifest::App;
use super::facts::reach::Reached;
use super::facts::run::{self, Kind, Role, Run, Stage};
use super::facts::{compose, setting};
use super::finding::{Place, Severity, Verdict};
use super::language::Language;
use super::sources::{Part, folder_of};
use super::unknown;
use crate::error::Result;
use crate::factor::Factor;
use crate::tree::RepoPath;

/// Tags that are moved on from release to release.
const MOVING: [&str; 9] =
    ["latest", "current", "stable", "production", "prod", "staging", "main", "master", "dev"];

/// What files of configuration, and variables, call environments.
const ENVIRONMENTS: [&str; 9] =
    ["production", "prod", "staging", "stage", "development", "dev", "local", "live", "qa"];

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let mut servers = facts.servers();
    if !servers.iter().any(|run| run.is_definition()) {
        servers = facts.started();
    }
    // One of several definitions that does it, is not the only way.
    for rule in ["run-builds", "run-reloads"] {
        let marks: Vec<Place> = case.by(rule).map(|mark| mark.place.clone()).collect();
        let is_marked = |run: &&Run| run.steps.iter().any(|step| marks.contains(&step.place));
        if !servers.iter().all(is_marked) {
            case.weigh(rule, Severity::Risk);
        }
    }
    judge_reloading(case, &servers)?;
    judge_mounts(case, &servers)?;
    for run in facts.runs.iter().filter(|run| run.role == Role::Release && run.is_definition()) {
        case.mark("release-phase", run.place.clone(), &run.name)?;
    }
    judge_deliveries(case)?;
    judge_images(case)?;
    for run in servers.iter().filter(|run| run.is_definition()) {
        let builds =
            case.by("run-builds").any(|mark| run.steps.iter().any(|step| step.place == mark.place));
        if !builds {
            case.mark("plain-run", run.place.clone(), &run.name)?;
        }
    }
    // A script that somebody runs by hand may write what belongs to the code.
    let is_python = facts.apps.iter().any(|app| app.language == Language::Python);
    let is_of_others = !is_python && facts.apps.iter().any(App::serves);
    let served = |path: &RepoPath| !is_of_others && facts.reach.of(path) == Reached::Served;
    case.drop_marks(|mark| mark.rule.id == "writes-beside-code" && !served(&mark.place.path));
    let is_broken = case.is_broken(Factor::BuildReleaseRun);
    // By itself it is no more than worth knowing.
    let severity = if is_broken { Severity::Risk } else { Severity::Info };
    for place in unnamed_releases(case) {
        case.mark_as("release-without-name", severity, place, "")?;
    }
    // What is compiled in cannot be given at the release.
    let baked: Vec<Place> = case.by("key-compiled-in").map(|mark| mark.place.clone()).collect();
    for place in baked {
        case.mark("config-baked-in", place, "")?;
    }
    judge_compilers(case);
    schema_at_start(case)
}

/// A server that the code itself starts, and that always reloads, where nothing else is run.
fn judge_reloading(case: &mut Case<'_>, servers: &[&Run]) -> Result<()> {
    let facts = case.facts;
    let starts = |run: &&&Run, path: &RepoPath| {
        let main = run.main();
        let module = path.as_str().trim_end_matches(".py").replace('/', ".");
        let mut words = main.split_whitespace();
        main.contains("python")
            && words.any(|word| {
                word == module || word.ends_with(".py") && path.as_str().ends_with(word)
            })
    };
    let marks = ["server-reloads", "debug-in-run"].into_iter().flat_map(|rule| case.by(rule));
    let found: Vec<(Place, Severity)> = marks
        .filter(|mark| facts.reach.of(&mark.place.path) == Reached::Served)
        .filter_map(|mark| {
            let started = servers.iter().filter(|run| starts(run, &mark.place.path)).count();
            let severity = match (started, started == servers.len()) {
                (_, true) => Severity::Violation,
                (0, false) => return None,
                (_, false) => Severity::Risk,
            };
            Some((mark.place.clone(), severity))
        })
        .collect();
    for (place, severity) in found {
        case.mark_as("run-reloads", severity, place, "")?;
    }
    Ok(())
}

/// What production's compose file builds without a name and a tag by which it can be started again.
fn unnamed_releases(case: &Case<'_>) -> Vec<Place> {
    let is_production =
        |path: &RepoPath| compose::is_compose(path) && run::stage_of(path) == Stage::Production;
    let mut places = Vec::new();
    for (path, node) in case.facts.documents(is_production) {
        for service in node.at(&["services"]).map(Node::entries).unwrap_or_default() {
            let is_run = case.facts.runs.iter().any(|run| {
                run.kind == Kind::Compose
                    && run.place.path == *path
                    && run.name == service.key
                    && run.role == Role::Web
            });
            let Some(build) = service.value.get("build").filter(|_| is_run) else { continue };
            let image = service.value.get("image");
            let name = image.and_then(|image| image.value.text()).unwrap_or_default();
            if !name.contains([':', '$', '@']) {
                places.push(Place::line(path.clone(), image.map_or(build.line, |it| it.line)));
            }
        }
    }
    places
}

/// A compiler that is loaded at the start, where that is the file that something starts.
fn judge_compilers(case: &mut Case<'_>) {
    let facts = case.facts;
    let webs = || facts.runs.iter().filter(|run| run.role == Role::Web);
    let is_defined = webs().any(Run::is_definition);
    let commands: Vec<&str> =
        webs().filter(|run| run.is_definition() || !is_defined).map(Run::main).collect();
    let is_started = |path: &RepoPath| {
        let name = path.file_name();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        commands.iter().any(|command| {
            let mut words = command.split_whitespace();
            words.any(|word| {
                let word = word.trim_start_matches("./");
                let last = word.rsplit('/').next().unwrap_or_default();
                last == name || last == stem || word == "." && stem == "index"
            })
        })
    };
    case.drop_marks(|mark| mark.rule.id == "compiles-at-start" && !is_started(&mark.place.path));
}

/// Source that is mounted where production runs; where nothing says how to run without it, that is the only way.
fn judge_mounts(case: &mut Case<'_>, servers: &[&Run]) -> Result<()> {
    let mut mounts = mounts_in_production(case);
    let is_only_way = !servers.is_empty()
        && servers.iter().all(|run| !run.mounts_source.is_empty() || is_overridden(case, run));
    let is_of_editor = |run: &&&Run| run.place.path.as_str().contains(".devcontainer");
    for run in case.facts.production().iter().filter(|run| !is_of_editor(run)) {
        let is_service = matches!(run.role, Role::Web | Role::Worker);
        if run.stage == Stage::Production || is_service && (is_only_way || run.stage == Stage::Any)
        {
            mounts.extend(run.mounts_source.iter().cloned());
        }
    }
    let severity = if is_only_way { Severity::Violation } else { Severity::Risk };
    for place in mounts {
        case.mark_as("run-mounts-source", severity, place, "")?;
    }
    Ok(())
}

/// Whether it comes on top of a compose file that mounts source.
fn is_overridden(case: &Case<'_>, run: &Run) -> bool {
    let mut bases = compose_bases(case).filter(|base| !base.mounts_source.is_empty());
    run.kind == Kind::Compose && !is_whole(case, run) && bases.any(|base| is_beside(base, run))
}

fn judge_deliveries(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    // `type=sha` is what docker/metadata-action makes a tag of.
    let is_fixed = |tag: &String| {
        MOVING
            .iter()
            .any(|name| tag.strip_suffix(name).is_some_and(|before| before.ends_with([':', '='])))
            || !tag.contains([':', '$']) && !tag.starts_with("type=")
    };
    for delivery in &facts.deliveries {
        // A step beside it may give the tag that counts.
        let beside = facts.deliveries.iter().filter(|it| it.place.path == delivery.place.path);
        let mut tags = beside.flat_map(|other| &other.tags);
        if !delivery.tags.is_empty() && tags.all(is_fixed) {
            case.mark("image-only-latest", delivery.place.clone(), "")?;
        } else {
            case.mark("delivery", delivery.place.clone(), &delivery.what)?;
        }
    }
    for place in moving_releases(case) {
        case.mark("image-only-latest", place, "")?;
    }
    let is_deploy = |path: &RepoPath| {
        let words = ["deploy", "release", "production", "staging", "cd.y"];
        words.iter().any(|word| path.as_str().to_lowercase().contains(word))
    };
    let is_pushed = |path: &RepoPath| {
        let mut lines = facts.pipeline.iter().filter(|step| step.place.path == *path);
        lines.any(|step| step.text.contains(" push"))
            || facts
                .deliveries
                .iter()
                .any(|found| found.place.path == *path && !found.tags.is_empty())
    };
    for step in facts.pipeline.iter().filter(|step| is_deploy(&step.place.path)) {
        if builds_by_compose(&step.text) && !is_pushed(&step.place.path) {
            case.mark("builds-on-target", step.place.clone(), "")?;
        }
    }
    Ok(())
}

fn builds_by_compose(line: &str) -> bool {
    let composes = line.contains("docker compose") || line.contains("docker-compose");
    composes && line.split_whitespace().any(|word| matches!(word, "build" | "--build"))
}

/// Compose files for production that take what a pipeline ships by a tag that moves on, or by none.
fn moving_releases(case: &Case<'_>) -> Vec<Place> {
    let name = |image: &str| {
        let last = image.rsplit('/').next().unwrap_or_default();
        last.split([':', '@']).next().unwrap_or_default().to_owned()
    };
    let shipped: Vec<String> =
        case.facts.deliveries.iter().flat_map(|found| &found.tags).map(|tag| name(tag)).collect();
    let mut places = Vec::new();
    let composes = case
        .facts
        .documents(|path| compose::is_compose(path) && run::stage_of(path) == Stage::Production);
    for (path, node) in composes {
        for service in node.at(&["services"]).map(Node::entries).unwrap_or_default() {
            let Some(image) = service.value.get("image") else { continue };
            let text = image.value.text().unwrap_or_default();
            let moves = text.ends_with(":latest") || !text.contains([':', '@', '$']);
            if moves && service.value.get("build").is_none() && shipped.contains(&name(text)) {
                places.push(Place::line(path.clone(), image.line));
            }
        }
    }
    places
}

fn judge_images(case: &mut Case<'_>) -> Result<()> {
    let varying = Varying::find(case);
    // What production's own definition says, the image need not.
    let is_told = case.facts.runs.iter().any(|run| {
        let is_definition = matches!(run.kind, Kind::Compose | Kind::Kubernetes | Kind::Platform);
        is_definition && run.stage == Stage::Production && !run.steps.is_empty()
    });
    let bases = ["python", "node", "rust", "debian", "alpine", "ubuntu", "scratch", "golang"];
    for image in case.facts.images.iter().filter(|image| !image.is_of_editor()) {
        let mut last = image.last_stage();
        if let Some(said) = last.find(|it| matches!(it.name.as_str(), "CMD" | "ENTRYPOINT")) {
            case.mark("image-runs", image.place(said), "")?;
        } else if let Some(from) = image.named("FROM").last() {
            // Another image's own command holds, where it has one.
            let base = from.text.split_whitespace().find(|word| !word.starts_with("--"));
            let name = base.unwrap_or_default().split([':', '@']).next().unwrap_or_default();
            let last = name.rsplit('/').next().unwrap_or_default();
            let is_stage = !image.bases().any(|(known, _)| known.line == from.line);
            let is_told = is_told || run::stage_of(&image.path) == Stage::Development;
            // One to build others upon is not run.
            let is_base = image.path.file_name().split(['.', '-', '_']).any(|it| it == "base");
            if (bases.contains(&last) || is_stage) && !is_told && !is_base {
                case.mark("image-without-command", image.place(from), "")?;
            }
        }
        judge_copies(case, image, &varying)?;
    }
    Ok(())
}

/// What no image should have in it: configuration of named environments, private keys.
#[derive(Debug)]
struct Varying {
    environments: Vec<RepoPath>,
    keys: Vec<RepoPath>,
}

impl Varying {
    fn find(case: &Case<'_>) -> Self {
        let is_environment = |path: &RepoPath| {
            let stem = path.file_name().split('.').next().unwrap_or_default();
            ENVIRONMENTS.contains(&stem) && setting::is_config_file(path)
        };
        let is_key = |path: &RepoPath, text: &str| {
            let name = path.file_name();
            let is_to_try = ["localhost", "dev", "test", "example", "self"];
            (name.ends_with(".pem") || name.ends_with(".key"))
                && text.contains("PRIVATE KEY")
                && !is_to_try.iter().any(|word| name.contains(word))
        };
        let of_service = case.sources.iter().filter(|(_, source)| source.part != Part::Test);
        let keys = of_service.filter(|(path, source)| is_key(path, &source.text));
        Self {
            environments: case
                .facts
                .documents(is_environment)
                .map(|(path, _)| path.clone())
                .collect(),
            keys: keys.map(|(path, _)| path.clone()).collect(),
        }
    }
}

/// What an image copies of it.
fn judge_copies(case: &mut Case<'_>, image: &Image, varying: &Varying) -> Result<()> {
    let mut carries = false;
    for copy in image.instructions.iter().filter(|it| matches!(it.name.as_str(), "COPY" | "ADD")) {
        let folders = copied_folders(image, copy);
        let takes = |paths: &[RepoPath]| {
            let mut each = folders.iter();
            each.any(|folder| paths.iter().any(|path| path.as_str().starts_with(folder)))
        };
        if takes(&varying.environments) {
            case.mark("image-carries-environments", image.place(copy), "")?;
            carries = true;
        }
        if copies_all(image, copy) && takes_env_file(case, image) {
            case.mark("image-takes-env-file", image.place(copy), "")?;
        }
        if takes(&varying.keys) {
            case.mark("image-copies-config", image.place(copy), "")?;
        }
    }
    let is_switch_on = |setting: &&setting::Setting| {
        let name = setting.name.to_uppercase();
        let is_switch = ["ENV", "ENVIRONMENT", "PROFILE", "RUN_MODE"]
            .iter()
            .any(|end| name == *end || name.strip_suffix(end).is_some_and(|it| it.ends_with('_')));
        // What a framework switches by it, is the same for every deploy.
        setting.place.path == image.path
            && is_switch
            && !matches!(name.as_str(), "NODE_ENV" | "FLASK_ENV" | "RAILS_ENV")
            && ENVIRONMENTS.contains(&setting.value.to_lowercase().as_str())
    };
    let found = case.facts.settings.iter().filter(is_switch_on);
    let switches: Vec<Place> = found.map(|setting| setting.place.clone()).collect();
    for place in switches.into_iter().filter(|_| carries) {
        case.mark("image-names-environment", place, "")?;
    }
    Ok(())
}

/// Whether an instruction copies the whole folder into what the image is in the end.
fn copies_all(image: &Image, copy: &Instruction) -> bool {
    let is_last = image.last_stage().any(|it| it.line == copy.line);
    let mut words = copy.text.split_whitespace().filter(|word| !word.starts_with("--"));
    is_last && !copy.text.contains("--from=") && matches!(words.next(), Some("." | "./"))
}

/// Whether a `.env` is used in the folder that an image is built from, and nothing leaves it out.
fn takes_env_file(case: &Case<'_>, image: &Image) -> bool {
    let facts = case.facts;
    if run::stage_of(&image.path) == Stage::Development {
        return false;
    }
    let of_image =
        |run: &&Run| run.kind == Kind::Compose && run.image.as_ref() == Some(&image.path);
    let mut contexts: Vec<&str> =
        facts.runs.iter().filter(of_image).map(|run| run.folder.as_str()).collect();
    if contexts.is_empty() {
        contexts.push(folder_of(&image.path));
    }
    let is_kept_out = || {
        case.sources.iter().any(|(path, source)| {
            let leaves_out = |line: &str| {
                let pattern = line.trim().trim_start_matches('/').trim_start_matches("**/");
                !pattern.is_empty() && super::dependencies::fits(pattern, ".env")
            };
            path.file_name().ends_with(".dockerignore") && source.text.lines().any(leaves_out)
        })
    };
    let is_listed = |node: &Node| {
        let is_own = |text: &str| matches!(text, ".env" | "./.env");
        node.text().is_some_and(is_own)
            || node
                .items()
                .iter()
                .any(|item| item.text().or_else(|| item.text_at(&["path"])).is_some_and(is_own))
    };
    let is_given = || {
        facts.documents(compose::is_compose).any(|(path, node)| {
            let services = node.at(&["services"]).map(Node::entries).unwrap_or_default();
            contexts.contains(&folder_of(path))
                && services.iter().any(|service| {
                    service.value.get("env_file").is_some_and(|it| is_listed(&it.value))
                })
        })
    };
    // Where an example stands that people are to copy, and a library that reads the copy.
    let is_read = || {
        let readers = ["dotenv", "python-dotenv", "dotenvy", "python-decouple", "django-environ"];
        facts.declares(&readers)
            && facts.settings.iter().any(|it| {
                it.origin == setting::Origin::Example
                    && it.place.path.file_name().starts_with(".env.")
                    && contexts.contains(&folder_of(&it.place.path))
            })
    };
    // The ignore files are looked for among all paths: last.
    (is_given() || is_read()) && !is_kept_out()
}

/// The folders of the repository that an instruction copies by their names, with `/` at their end.
fn copied_folders(image: &Image, copy: &Instruction) -> Vec<String> {
    let mut words: Vec<&str> = copy.text.split_whitespace().collect();
    words.pop();
    if words.iter().any(|word| word.starts_with("--from=")) {
        return Vec::new();
    }
    let paths = words.iter().map(|word| word.trim_start_matches("./").trim_matches('/'));
    let own = paths.filter(|path| !path.is_empty() && *path != "." && !path.starts_with("--"));
    let beside = folder_of(&image.path);
    own.flat_map(|name| [format!("{name}/"), format!("{beside}{name}/")]).collect()
}

/// What the file that production's one comes on top of mounts is mounted there too.
fn mounts_in_production(case: &Case<'_>) -> Vec<Place> {
    let overrides = |base: &&Run| {
        let mut composed = case.facts.runs.iter().filter(|run| run.kind == Kind::Compose);
        composed.any(|run| {
            run.stage == Stage::Production && is_beside(base, run) && !is_whole(case, run)
        })
    };
    let bases = compose_bases(case).filter(overrides);
    bases.flat_map(|run| run.mounts_source.clone()).collect()
}

/// Whether a compose file says all of a service by itself: where it comes from, and what it runs.
fn is_whole(case: &Case<'_>, run: &Run) -> bool {
    let mut documents = case.facts.documents(|path| *path == run.place.path);
    documents.any(|(_, node)| {
        let service = node.at(&["services", &run.name]);
        let says = |key: &str| service.is_some_and(|service| service.get(key).is_some());
        (says("build") || says("image")) && (says("command") || says("ports") || says("expose"))
    })
}

/// The services of compose files that others come on top of.
fn compose_bases<'c>(case: &'c Case<'_>) -> impl Iterator<Item = &'c Run> {
    let composed = case.facts.runs.iter().filter(|run| run.kind == Kind::Compose);
    composed.filter(|run| {
        let stem = run.place.path.file_name().rsplit_once('.').map(|(stem, _)| stem);
        matches!(stem, Some("docker-compose" | "compose"))
    })
}

/// Whether both are the same service, in files of one folder.
fn is_beside(base: &Run, run: &Run) -> bool {
    run.name == base.name && folder_of(&run.place.path) == folder_of(&base.place.path)
}

/// A web process that changes the schema releases itself.
fn schema_at_start(case: &mut Case<'_>) -> Result<()> {
    let is_defined = !case.facts.production().is_empty();
    let found: Vec<Place> = case.by("schema-at-start").map(|mark| mark.place.clone()).collect();
    for place in found.into_iter().filter(|_| is_defined) {
        case.mark("release-at-start", place, "")?;
    }
    Ok(())
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    let is_defined = case.facts.runs.iter().any(Run::is_definition);
    if is_defined {
        return Judgement::new(Verdict::Met, "what is run is built before");
    }
    unknown("no image, Procfile or pipeline says how it is built and run")
}
