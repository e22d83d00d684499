//! Owns the run of a project in containers, by nothing but its own Dockerfile and compose files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::lint::require;
use crate::case::{Case, post_note, wait_for_count};
use crate::project::NAME;
use dozen::prove::probe::clone::{Project, clone};
use dozen::prove::probe::http::{Client, Request};
use dozen::prove::probe::snapshot::extension;
use dozen::prove::probe::tether::Tether;
use dozen::prove::probe::tool::{Caches, Finished, Toolbox};
use dozen::prove::probe::variables::Variables;
use dozen::prove::untested::Untested;

/// The engine is one for all: its images, networks and volumes are called by the project's name.
static ENGINE: Mutex<()> = Mutex::new(());

/// A clean clone, and what of it is in the engine; gone when dropped.
struct Deployment {
    toolbox: Toolbox,
    folder: PathBuf,
    variables: Variables,
    port: u16,
}

impl Deployment {
    fn of(case: &Case, project: &Project) -> Result<Self> {
        require("docker", "install Docker, or eval \"$(../shared/docker/up core mysql)\"")?;
        let tether: &Arc<Tether> = case.tether();
        let toolbox = Toolbox::new(tether, Caches::of_user());
        let folder = tether.fresh_folder("clone")?.join(NAME);
        clone(&project.folder, &folder)?;
        if !toolbox.run("docker info", &folder)?.succeeded {
            bail!(Untested::Missing { what: "a Docker engine", remedy: "start it" });
        }
        // The database and Redis would take this machine's own ports, which others may hold.
        let ports = tether.fresh_folder("ports")?.join("ports.yaml");
        std::fs::write(&ports, "services: {db: {ports: !reset []}, redis: {ports: !reset []}}\n")?;
        let port = tether.fresh_port()?;
        let files = format!("compose.yaml:compose.override.yaml:{}", ports.display());
        let variables = Variables::default()
            .with("PORT", &port)
            .with("COMPOSE_FILE", &files)
            .with("BUILDKIT_PROGRESS", "plain");
        Ok(Self { toolbox, folder, variables, port })
    }

    fn run(&self, line: &str) -> Result<Finished> {
        self.toolbox.run_with(line, &self.folder, None, &self.variables)
    }

    fn up(&self) -> Result<Finished> {
        self.run("docker compose up --build --detach --wait --wait-timeout 120")
    }

    /// The services' containers, as compose lists them.
    fn containers(&self) -> Result<Vec<Value>> {
        let listed = self.run("docker compose ps --all --format json")?.expect_success()?;
        listed
            .text
            .lines()
            .map(|line| serde_json::from_str(line).context("read a container"))
            .collect()
    }

    fn logs(&self, service: &str) -> Result<String> {
        let line = format!("docker compose logs --no-log-prefix --no-color {service}");
        Ok(self.run(&line)?.text)
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let _ = self.run("docker compose down --volumes --remove-orphans --timeout 1");
    }
}

pub fn serves(case: &Case) -> Result<()> {
    let _engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let deployment = Deployment::of(case, case.project()?)?;
    deployment.up()?.expect_success()?;
    let client = Client::of(deployment.port);
    client.get("/readyz")?.expect(200)?;
    let id = post_note(&client, "three little words")?;
    wait_for_count(&client, id, 3, Duration::from_secs(20))?;
    let begun = client.post("/session", &json!({ "name": "Ada" }))?;
    let cookie = begun.expect(201)?.cookie().context("no cookie")?;
    client.with_cookie(cookie).get("/session")?.expect(200)?;
    client.get("/notes/999999")?.expect_problem(404)?;
    client.send(&Request::post_bytes("/notes", "{"))?.expect_problem(400)?;
    client.post("/notes", &json!({ "body": "" }))?.expect_problem(422)?;
    for task in case.subject().tasks.iter().map(|task| &case.subject().lines[task]) {
        let line = format!("docker compose run --rm --no-deps worker {task}");
        deployment.run(&line)?.expect_success()?;
    }
    scale(&deployment, &client)?;
    stop_in_mid_request(&deployment, &client)
}

fn scale(deployment: &Deployment, client: &Client) -> Result<()> {
    deployment
        .run("docker compose up --detach --wait --scale worker=3 --no-recreate")?
        .expect_success()?;
    let workers = deployment.containers()?;
    let workers = workers.iter().filter(|container| container["Service"] == "worker").count();
    ensure!(workers == 3, "{workers} workers run, not 3");
    for _ in 0..10 {
        let id = post_note(client, "one two")?;
        wait_for_count(client, id, 2, Duration::from_secs(20))?;
    }
    Ok(())
}

/// Stops everything while a request is half sent: it is completed, answered, and all that the service is ends with 0.
fn stop_in_mid_request(deployment: &Deployment, client: &Client) -> Result<()> {
    let request = Request::post("/notes", &json!({ "body": "begun before the end" })).to_bytes();
    let (first, rest) = request.split_at(request.len() - 10);
    let mut connection = client.connect()?;
    connection.send_bytes(first)?;
    std::thread::sleep(Duration::from_millis(300));
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| deployment.run("docker compose stop"));
        std::thread::sleep(Duration::from_secs(2));
        connection.send_bytes(rest)?;
        connection.receive()?.expect(201)?;
        stopping.join().unwrap()?.expect_success()
    })?;
    for container in deployment.containers()? {
        let (service, code) = (&container["Service"], &container["ExitCode"]);
        ensure!(*code == 0, "{service} ended with {code}:\n{}", deployment.logs("web")?);
    }
    for service in ["web", "worker", "migrate"] {
        for line in deployment.logs(service)?.lines() {
            let said: Value = serde_json::from_str(line)
                .with_context(|| format!("{service} wrote something else than JSON: {line}"))?;
            ensure!(
                said["message"].is_string(),
                "{service} wrote a line without a message: {line}"
            );
        }
    }
    Ok(())
}

pub fn stops_at_migration(case: &Case) -> Result<()> {
    let project = case.variant(
        "broken migration",
        &[case.subject().failing_migration.clone().unwrap_or_default(), COMMIT.to_owned()],
    )?;
    let _engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let deployment = Deployment::of(case, &project)?;
    let finished = deployment.up()?;
    ensure!(!finished.succeeded, "docker compose up succeeded with a broken migration");
    ensure!(finished.text.contains("migrate"), "what failed is not named:\n{}", finished.text);
    for container in deployment.containers()? {
        let (service, state) = (&container["Service"], &container["State"]);
        ensure!(
            !(*service == "web" || *service == "worker") || *state != "running",
            "{service} is {state} on a database that is not migrated"
        );
    }
    Ok(())
}

const COMMIT: &str = "git add --all && git -c user.name=contract -c user.email=contract@localhost commit --quiet --message Change";

pub fn asks_for_values(case: &Case) -> Result<()> {
    let _engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut deployment = Deployment::of(case, case.project()?)?;
    deployment.variables =
        deployment.variables.with("COMPOSE_FILE", "compose.yaml:compose.production.yaml");
    let password = format!("{}_PASSWORD", case.engine().slug().to_uppercase());
    let required = ["IMAGE", "DATABASE_URL", "REDIS_URL", "SESSION_SECRET", password.as_str()];
    let all =
        required.iter().fold(deployment.variables.clone(), |all, name| all.with(name, "given"));
    for name in required {
        deployment.variables = all.without(name);
        let finished = deployment.run("docker compose config --quiet")?;
        ensure!(!finished.succeeded, "production goes without {name}");
        ensure!(
            finished.text.contains(name),
            "{name} is missing and not named:\n{}",
            finished.text
        );
    }
    deployment.variables = all;
    deployment.run("docker compose config --quiet")?.expect_success()?;
    compare_with_development(&deployment)
}

/// Development and production have the same services, on the same images, with the same variables.
fn compare_with_development(production: &Deployment) -> Result<()> {
    let resolve = |files: &str| -> Result<Value> {
        let variables = production.variables.with("COMPOSE_FILE", files);
        let line = "docker compose config --format json";
        let said = production.toolbox.run_with(line, &production.folder, None, &variables)?;
        serde_json::from_str(&said.expect_success()?.text).context("read compose's configuration")
    };
    let (ours, theirs) = (
        resolve("compose.yaml:compose.override.yaml")?,
        resolve("compose.yaml:compose.production.yaml")?,
    );
    let names = |said: &Value| -> Vec<String> {
        said["services"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    ensure!(names(&ours) == names(&theirs), "not the same services");
    for name in names(&ours) {
        let (one, other) = (&ours["services"][&name], &theirs["services"][&name]);
        for key in ["image", "command", "depends_on", "healthcheck", "volumes"] {
            ensure!(one[key] == other[key], "{name} has another {key} in production");
        }
        let variables = |service: &Value| -> Vec<String> {
            service["environment"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect()
        };
        ensure!(variables(one) == variables(other), "{name} has other variables in production");
    }
    Ok(())
}

pub fn image_is_bare(case: &Case) -> Result<()> {
    let _engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let deployment = Deployment::of(case, case.project()?)?;
    deployment
        .run("docker build --build-arg RELEASE=4f2a9c1 --tag dozen-contract .")?
        .expect_success()?;
    let shown = deployment.run("docker image inspect dozen-contract")?.expect_success()?;
    let images: Value = serde_json::from_str(&shown.text).context("read the image")?;
    let config = &images[0]["Config"];
    let user = config["User"].as_str().unwrap_or_default();
    ensure!(!["", "0", "root", "0:0"].contains(&user), "the image runs as {user:?}");
    ensure!(config["Healthcheck"]["Test"][0] == "CMD", "there is no HEALTHCHECK in exec form");
    ensure!(
        config["Cmd"].as_array().is_some_and(|words| words[0] != "/bin/sh"),
        "CMD has a shell before it"
    );
    let label = &config["Labels"]["org.opencontainers.image.revision"];
    ensure!(*label == "4f2a9c1", "the image says it is of {label}");
    let variables = config["Env"].to_string();
    ensure!(variables.contains("RELEASE=4f2a9c1"), "the release is not in {variables}");
    for tool in ["gcc", "cc", "make", "cargo", "npm", "pip", "uv", "git"] {
        let found = deployment.run(&format!(
            "docker run --rm --entrypoint sh dozen-contract -c 'command -v {tool}'"
        ))?;
        ensure!(!found.succeeded, "the image has {tool}: {}", found.text);
    }
    let bare = "docker run --rm --read-only --cap-drop ALL --network none --entrypoint sh dozen-contract -c";
    ensure!(
        !deployment.run(&format!("{bare} 'touch /app/x'"))?.succeeded,
        "the image can write into /app"
    );
    Ok(())
}

pub fn rebuilds_quickly(case: &Case) -> Result<()> {
    let _engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let deployment = Deployment::of(case, case.project()?)?;
    let build = "docker build --tag dozen-contract .";
    deployment.run(build)?.expect_success()?;
    change_a_line(&deployment.folder, &case.project()?.tracked()?)?;
    let again = deployment.run(build)?.expect_success()?;
    let before_sources = steps(&again.text);
    ensure!(!before_sources.is_empty(), "no step stands before the sources:\n{}", again.text);
    for (step, cached) in before_sources {
        ensure!(cached, "after a change of one line of source, this ran again: {step}");
    }
    Ok(())
}

/// Adds a line to the first source of the service.
fn change_a_line(folder: &Path, tracked: &[String]) -> Result<()> {
    const MARKS: [(&str, &str); 3] = [("py", "#"), ("ts", "//"), ("rs", "//")];
    let (source, mark) = tracked
        .iter()
        .filter(|path| !path.starts_with("tests/"))
        .find_map(|path| {
            let mark = MARKS.iter().find(|(end, _)| *end == extension(path))?;
            Some((path, mark.1))
        })
        .context("a source")?;
    let path = folder.join(source);
    let text = std::fs::read_to_string(&path)?;
    // As it never was before, whatever the engine remembers.
    let now = std::time::UNIX_EPOCH.elapsed()?.as_nanos();
    std::fs::write(&path, format!("{text}{mark} changed at {now}\n"))?;
    Ok(())
}

/// The steps of a build that stand before the sources are copied, and whether each came from the cache.
fn steps(log: &str) -> Vec<(String, bool)> {
    // `#7 [build 4/5] RUN npm ci`: what is cached is told in any order.
    let stage = log.lines().filter_map(|line| {
        let (number, rest) = line.split_once(" [build ")?;
        let (place, step) = rest.split_once("] ")?;
        let place: usize = place.split('/').next()?.trim().parse().ok()?;
        Some((place, number, step))
    });
    let stage: Vec<_> = stage.collect();
    let sources = stage.iter().find(|(_, _, step)| step.starts_with("COPY . ."));
    let sources = sources.map_or(0, |(place, ..)| *place);
    stage
        .iter()
        .filter(|(place, _, step)| *place < sources && step.starts_with("RUN "))
        .map(|(_, number, step)| {
            let cached = log.lines().any(|line| line == format!("{number} CACHED"));
            ((*step).to_owned(), cached)
        })
        .collect()
}
