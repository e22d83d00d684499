//! Concurrency: can a second process of a type be started, and which types are there?

use super::case::{Case, Judgement};
use super::document::Node;
use super::facts::compose::{engine, is_compose_name, is_foreign_image};
use super::facts::run::{Kind, Role};
use super::finding::{Place, Severity};
use super::lines::numbered;
use super::processes::LOCAL_STATE;
use super::unknown;
use crate::error::Result;

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    // State of one machine blocks a second one, wherever it is kept.
    let found: Vec<Place> = case
        .marks
        .iter()
        .filter(|mark| {
            LOCAL_STATE.contains(&mark.rule.id.as_str()) && mark.severity == Severity::Violation
        })
        .map(|mark| mark.place.clone())
        .collect();
    for place in found {
        case.mark("state-blocks-scaling", place, "")?;
    }
    judge_workers(case)?;
    judge_managers(case)?;
    let facts = case.facts;
    // One definition that leaves it to the platform is a way that complies.
    let own: Vec<Place> = case.by("forks-itself").map(|mark| mark.place.clone()).collect();
    let is_left = |run: &&super::facts::run::Run| {
        run.is_definition()
            && !run.main().is_empty()
            && !run.steps.iter().any(|step| own.contains(&step.place))
    };
    if !own.is_empty() && facts.servers().iter().any(is_left) {
        case.weigh("forks-itself", Severity::Risk);
    }
    for run in facts.production() {
        let is_type = matches!(run.role, Role::Web | Role::Worker);
        if is_type && run.kind != Kind::Image {
            case.mark("process-type", run.place.clone(), &run.name)?;
        }
    }
    for (path, node) in facts.documents(|path| is_compose_name(path.file_name())) {
        for service in node.at(&["services"]).map(Node::entries).unwrap_or_default() {
            let builds = service.value.get("build").is_some();
            let image = service.value.text_at(&["image"]);
            let is_own =
                builds || image.is_none_or(|it| engine(it).is_none() && !is_foreign_image(it));
            let Some(name) = service.value.get("container_name").filter(|_| is_own) else {
                continue;
            };
            let place = Place::line(path.clone(), name.line);
            // On a developer's machine nobody starts a second one.
            if path.as_str().contains("prod") {
                case.mark_as("container-name", Severity::Risk, place, "")?;
            } else if builds {
                case.mark("container-name", place, "")?;
            }
        }
    }
    // What every web process does when it starts, several do at once.
    let migrating: Vec<Place> = case
        .by("run-migrates")
        .chain(case.by("schema-at-start"))
        .map(|mark| mark.place.clone())
        .collect();
    let declares =
        case.has("process-type") || facts.runs.iter().any(super::facts::run::Run::is_definition);
    let changes = |place: &Place| !is_safe_to_repeat(case, place);
    let migrating: Vec<Place> = migrating.into_iter().filter(changes).collect();
    for place in migrating.into_iter().filter(|_| declares) {
        case.mark("migrates-at-every-start", place, "")?;
    }
    Ok(())
}

/// Whether it only makes what is not there yet, so that a second process finds it done.
fn is_safe_to_repeat(case: &Case<'_>, place: &Place) -> bool {
    let Some(source) = case.sources.get(&place.path) else { return false };
    let own = numbered(&source.text).skip(place.line.saturating_sub(1));
    let text: Vec<&str> =
        own.take_while(|(number, _)| *number <= place.end_line).map(|(_, line)| line).collect();
    let text = text.join(" ").to_lowercase();
    // Who makes an index asks first whether there is one.
    let is_guarded = || {
        let above = numbered(&source.text).skip(place.line.saturating_sub(16)).take(15);
        above.map(|(_, line)| line).any(|line| line.contains("exists"))
    };
    ["create_all", "if not exists", "ifnotexists", "generate_schemas", "create_tables"]
        .iter()
        .any(|word| text.contains(word))
        || text.contains("indices") && is_guarded()
}

/// What is wrong in a web process is a worker's own business, and the other way round.
fn judge_workers(case: &mut Case<'_>) -> Result<()> {
    let is_worker = |place: &Place| {
        let stem = place.path.file_name().split('.').next().unwrap_or_default();
        matches!(stem, "worker" | "workers" | "consumer" | "consumers" | "scheduler" | "clock")
    };
    // What each process does for itself: it says how it is, and clears its own memory.
    let is_own_affair = |place: &Place| {
        let path = place.path.as_str().to_lowercase();
        ["metric", "telemetry", "datadog", "statsd", "heartbeat", "limiter", "rate_limit"]
            .iter()
            .any(|word| path.contains(word))
    };
    let reach = &case.facts.reach;
    let has_worker = case.facts.runs.iter().any(|run| run.role == Role::Worker);
    case.drop_marks(|mark| match mark.rule.id.as_str() {
        "job-in-web" | "thread-in-web" => {
            is_worker(&mark.place)
                || is_own_affair(&mark.place)
                || reach.is_for_workers(&mark.place.path)
        }
        // A module of a queue is often for both: for who puts jobs in, and for the worker.
        "worker-in-web" => is_worker(&mark.place) || has_worker,
        _ => false,
    });
    let listening: Vec<Place> = case.by("listens").map(|mark| mark.place.clone()).collect();
    for place in listening.into_iter().filter(is_worker) {
        case.mark("worker-listens", place, "")?;
    }
    Ok(())
}

/// What supervisor and PM2 are told to start.
fn judge_managers(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let is_used = facts.runs.iter().any(|run| run.command().contains("supervisord"));
    let mut found: Vec<(Place, String)> = Vec::new();
    let is_file = |name: &str| name.starts_with("supervisor") && name.ends_with(".conf");
    for (path, source) in case.sources.named(is_file).filter(|_| is_used) {
        for (number, line) in numbered(&source.text) {
            let program = line.trim().strip_prefix("[program:").and_then(|it| it.strip_suffix(']'));
            let place = Place::line(path.clone(), number);
            found.extend(program.map(|name| (place, name.to_owned())));
        }
    }
    let is_file = |name: &str| matches!(name, "ecosystem.config.json" | "pm2.json");
    for (path, node) in facts.documents(|path| is_file(path.file_name())) {
        for app in node.at(&["apps"]).map(Node::items).unwrap_or_default() {
            let many = app.get("instances").filter(|many| many.value.text() != Some("1"));
            let name = app.text_at(&["name"]).unwrap_or_default().to_owned();
            found.extend(many.map(|many| (Place::line(path.clone(), many.line), name)));
        }
    }
    if case.has("cluster-inside") {
        // What starts the manager, where the file says of how many.
        let steps = facts.servers().into_iter().flat_map(|run| &run.steps);
        let starts = steps.filter(|step| step.text.contains("pm2")).map(|step| &step.place);
        found.extend(starts.map(|place| (place.clone(), "copies".to_owned())));
    }
    for (place, name) in found {
        case.mark("manager-inside", place, &name)?;
    }
    Ok(())
}

pub fn otherwise(_: &Case<'_>) -> Judgement {
    unknown("no definition says which processes there are")
}
