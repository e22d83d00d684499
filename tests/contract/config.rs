//! Factor III, config: the variables of the contract, each required, defaulted or refused as it says.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::backing::{Engine, Secret};
use crate::case::{Case, Claim, Deserted, Order, Starter, Web};
use crate::http::{Client, Request};
use crate::missing::Missing;
use crate::patience::{SOON, stays, wait_for};
use crate::process::Process;
use crate::procfs;
use crate::project::NAME;
use crate::tree::extension;
use crate::variables::{OPTIONAL, REQUIRED, Variables};

pub const FACTOR: &str = "config";

pub const CLAIMS: &[Claim] = &[
    Claim::new(
        "each required variable unset: web exits within 5 s, naming it and no other",
        names_each_missing,
    ),
    Claim::new(
        "with nothing set, every process and task exits within 5 s, naming all required variables at once",
        names_all_missing,
    ),
    Claim::new(
        "PORT=abc, malformed URLs and whatever else is malformed: web exits within 5 s, \
         naming every one at once and the value of none",
        |case| refuses_malformed(case, "web", 6),
    ),
    Claim::new(
        "worker refuses the same malformed variables, naming every one and the value of none",
        |case| refuses_malformed(case, "worker", 1),
    ),
    Claim::new(
        "release refuses the same malformed variables, naming every one and the value of none",
        |case| refuses_malformed(case, "release", 1),
    ),
    Claim::new("a missing, an empty and a malformed variable are named in one go", names_mixed),
    Claim::new("SESSION_SECRET of 31 characters is refused, of 32 accepted", borders_secret),
    Claim::new("postgresql:// is accepted like postgres://", accepts_long_scheme),
    Claim::new("PORT is 8000 unless it is set", defaults_port),
    Claim::new("RELEASE is dev unless it is set", defaults_release),
    Claim::new("LOG_LEVEL is obeyed, and info unless it is set", obeys_log_level),
    Claim::new("WEB_CONCURRENCY is 1 unless it is set", defaults_concurrency),
    Claim::new(
        "a backing service that is down is no reason to exit: web lives, is not ready and says which is down",
        lives_without_services,
    ),
    Claim::new("a worker without its backing services stays alive", worker_lives_without_services),
    Claim::new("no environment by name changes what the service does", no_environment_by_name),
    Claim::new("no .env is needed, and one that lies about is not believed", needs_no_env_file),
    Claim::new("a secret never appears where everything goes wrong", hides_secrets),
    Claim::new("no process of this run ever showed a canary secret", showed_no_canary)
        .begins(Order::Last),
];

/// The contract's limit for an exit over the configuration.
const EXIT_LIMIT: Duration = Duration::from_secs(5);

/// Starts a line that must refuse its variables, and gives all that it said.
fn refused(starter: &Starter, name: &str, variables: &Variables) -> Result<String> {
    let mut process = starter.start(name, variables)?;
    let exit = wait_for(format!("{name} to refuse its variables"), SOON, || {
        let heard = process.listening_alone();
        ensure!(heard.is_empty(), "{name} listens on {heard:?} before it looked at its variables");
        process.exited()
    })?;
    let said = process.text();
    ensure!(
        exit.code.is_some_and(|code| code != 0),
        "{name} ended with {exit}, not with an exit code above 0"
    );
    ensure!(exit.after <= EXIT_LIMIT, "{name} took {:?} to refuse its variables", exit.after);
    Ok(said)
}

/// Says whether a text names a variable: as a word of its own, in the contract's spelling.
fn names(text: &str, variable: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(variable).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + variable.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Expects these variables to be named, and of all others none.
fn expect_named(said: &str, faulty: &[&str]) -> Result<()> {
    for variable in REQUIRED.iter().chain(&OPTIONAL) {
        let named = names(said, variable);
        if faulty.contains(variable) && !named {
            bail!("{variable} is at fault and is not named (all at fault: {faulty:?})");
        }
        if !faulty.contains(variable) && named {
            bail!("{variable} is named, but nothing is wrong with it (at fault: {faulty:?})");
        }
    }
    Ok(())
}

fn expect_hidden<'s>(said: &str, values: impl IntoIterator<Item = &'s str>) -> Result<()> {
    for value in values {
        // A short value may stand in a sentence by chance.
        if value.len() >= 8 && said.contains(value) {
            bail!("the value {value:?} is shown");
        }
    }
    Ok(())
}

fn names_each_missing(case: &Case) -> Result<()> {
    let Deserted { starter, variables, .. } = case.deserted()?;
    for variable in REQUIRED {
        let said = refused(&starter, "web", &variables.without(variable))
            .with_context(|| format!("web without {variable}"))?;
        expect_named(&said, &[variable])?;
        expect_hidden(&said, REQUIRED.iter().filter_map(|name| variables.get(name)))?;
    }
    Ok(())
}

fn names_all_missing(case: &Case) -> Result<()> {
    let starter = Starter::of(case)?;
    for process in ["web", "worker", "release", "recount"] {
        let said = refused(&starter, process, &Variables::default())
            .with_context(|| format!("{process} with no variable at all"))?;
        expect_named(&said, &REQUIRED)?;
    }
    Ok(())
}

/// Values that are wrong in every variable at once, row by row, and no two in the same way. `{}` stands for a
/// secret.
const MALFORMED: [(&str, [&str; 6]); 6] = [
    ("PORT", ["abc", "0", "65536", "-1", "80.5", "8000x"]),
    (
        "DATABASE_URL",
        [
            "no url at all {}",
            "sqlite:///{}.db",
            "oracle://shop:{}@127.0.0.1/shop",
            "postgres://{}@",
            "mysql://shop:{}@127.0.0.1:port/shop",
            "postgres://shop:{}@127.0.0.1:99999/shop",
        ],
    ),
    (
        "REDIS_URL",
        [
            "no url at all {}",
            "http://:{}@127.0.0.1/",
            "memcached://:{}@127.0.0.1/0",
            "redis://:{}@",
            "redis://:{}@127.0.0.1:nineteen/0",
            "redis://:{}@127.0.0.1:99999/0",
        ],
    ),
    ("LOG_LEVEL", ["loud", "10", "chatty-as-can-be", "none", "{}", "info,debug"]),
    ("SHUTDOWN_TIMEOUT", ["soon", "-1", "ten seconds", "1e", "{}", "10s"]),
    ("WEB_CONCURRENCY", ["many", "0", "-2", "1.5", "{}", "two"]),
];

fn refuses_malformed(case: &Case, process: &str, rows: usize) -> Result<()> {
    let Deserted { starter, variables, .. } = case.deserted()?;
    let canary = Secret::new("malformed");
    for row in 0..rows {
        // One secret is too short by one character.
        let short = &canary.as_str()[..31];
        let mut broken = variables.with("SESSION_SECRET", short);
        let mut values = vec![short.to_owned()];
        for (name, wrong) in MALFORMED {
            let value = wrong[row].replace("{}", canary.as_str());
            broken = broken.with(name, &value);
            values.push(value);
        }
        let mut faulty = vec!["SESSION_SECRET"];
        faulty.extend(MALFORMED.map(|(name, _)| name));
        let said = refused(&starter, process, &broken)
            .with_context(|| format!("{process} with {values:?}"))?;
        expect_named(&said, &faulty).with_context(|| format!("{process} with {values:?}"))?;
        expect_hidden(&said, values.iter().map(String::as_str))?;
        expect_hidden(&said, [&canary.as_str()[..20]])?;
    }
    Ok(())
}

fn names_mixed(case: &Case) -> Result<()> {
    let Deserted { starter, variables, .. } = case.deserted()?;
    let variables = variables.without("REDIS_URL").with("DATABASE_URL", "").with("PORT", "abc");
    let said = refused(&starter, "web", &variables)?;
    expect_named(&said, &["REDIS_URL", "DATABASE_URL", "PORT"])
}

fn borders_secret(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    let shortest = shop.stage.variables.get("SESSION_SECRET").unwrap_or_default();
    ensure!(shortest.len() == 32, "the shop's own secret should have 32 characters");
    shop.web.client.get("/readyz")?.expect(200)?;
    let Deserted { starter, variables, .. } = case.deserted()?;
    let said = refused(&starter, "web", &variables.with("SESSION_SECRET", &shortest[..31]))?;
    expect_named(&said, &["SESSION_SECRET"])?;
    expect_hidden(&said, [&shortest[..31]])
}

fn accepts_long_scheme(case: &Case) -> Result<()> {
    let server = case.setting.ground.backing.shared(Engine::Postgres)?;
    let stage = case.stage_on(server.create()?)?;
    let variables = stage.variables.with("DATABASE_URL", &stage.database.url_as("postgresql"));
    let (exit, process) = stage.starter.run("release", &variables)?;
    ensure!(exit.is_zero(), "release ended with {exit}: {}", process.text());
    let web = stage.web_with(&variables)?;
    web.post_note("a note")?;
    web.process.end()
}

fn defaults_port(case: &Case) -> Result<()> {
    const DEFAULT: u16 = 8000;
    // Both settings want it; and another program of this machine may.
    static PORT: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _mine = PORT.lock();
    let freed = wait_for("port 8000", Duration::from_secs(20), || {
        Ok((!procfs::is_taken(DEFAULT)).then_some(()))
    });
    if freed.is_err() {
        return Err(Missing { what: "port 8000", package: "stop what listens on it" }.into());
    }
    let Deserted { starter, variables, .. } = case.deserted()?;
    let web = Web::alive(starter.start("web", &variables.without("PORT"))?, DEFAULT)?;
    web.process.end()
}

fn defaults_release(case: &Case) -> Result<()> {
    let said = case.shared()?.get("/")?.expect(200)?.json()?;
    ensure!(said == json!({ "name": NAME, "release": "dev" }), "GET / says {said}");
    Ok(())
}

fn defaults_concurrency(case: &Case) -> Result<()> {
    // Some servers have a parent that holds the port too: what counts is what the variable adds.
    let stage = case.stage()?;
    let unset = stage.web()?;
    let variables = stage.on_another_port()?;
    let one = stage.web_with(&variables.with("WEB_CONCURRENCY", &1))?;
    let variables = stage.on_another_port()?;
    let two = stage.web_with(&variables.with("WEB_CONCURRENCY", &2))?;
    let holders = |web: &Web| web.process.listening_processes();
    // Where threads serve side by side, it counts them; elsewhere processes.
    wait_for("a second server with WEB_CONCURRENCY=2", SOON, || {
        let more = holders(&two) > holders(&one) || two.process.threads() > one.process.threads();
        Ok(more.then_some(()))
    })?;
    ensure!(
        holders(&unset) == holders(&one),
        "{} processes hold the port by default, {} with WEB_CONCURRENCY=1",
        holders(&unset),
        holders(&one)
    );
    [unset, one, two].into_iter().try_for_each(|web| web.process.end())
}

fn obeys_log_level(case: &Case) -> Result<()> {
    let levels = |level: Option<&str>| -> Result<Vec<String>> {
        let Deserted { starter, mut variables, port } = case.deserted()?;
        if let Some(level) = level {
            variables = variables.with("LOG_LEVEL", level);
        }
        let mut web = Web::alive(starter.start("web", &variables)?, port)?;
        web.client.get("/")?.expect(200)?;
        web.client.get("/nowhere")?.expect(404)?;
        web.process.terminate();
        web.process.wait_for_exit(SOON)?;
        let lines = web.process.lines();
        let levels = lines.iter().filter_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.text).ok()?;
            Some(line["level"].as_str()?.to_lowercase())
        });
        Ok(levels.collect())
    };
    let has = |levels: &[String], names: &[&str]| {
        levels.iter().any(|level| names.contains(&level.as_str()))
    };
    let by_default = levels(None)?;
    ensure!(
        has(&by_default, &["info"]),
        "by default there is no line of level info: {by_default:?}"
    );
    ensure!(!has(&by_default, &["debug", "trace"]), "by default there are lines of level debug");
    let warning = levels(Some("warning"))?;
    ensure!(!has(&warning, &["info", "debug", "trace"]), "with LOG_LEVEL=warning: {warning:?}");
    let error = levels(Some("error"))?;
    ensure!(
        !has(&error, &["warning", "warn", "info", "debug", "trace"]),
        "with LOG_LEVEL=error: {error:?}"
    );
    Ok(())
}

fn lives_without_services(case: &Case) -> Result<()> {
    let Deserted { starter, variables, port } = case.deserted()?;
    let mut web = Web::alive(starter.start("web", &variables)?, port)?;
    let answer = web.client.get("/readyz")?;
    answer.expect_problem(503)?;
    let said = answer.text().to_lowercase();
    for service in ["database", "redis"] {
        ensure!(
            said.contains(service),
            "both services are down, /readyz does not say {service}: {answer}"
        );
    }
    web.client.get("/")?.expect(200)?;
    // Attempts to connect must not wear it out.
    for _ in 0..3 {
        web.client.get("/readyz")?.expect(503)?;
        web.client.get("/livez")?.expect(200)?;
    }
    web.process.ensure_alive()?;
    web.process.end()
}

fn worker_lives_without_services(case: &Case) -> Result<()> {
    let Deserted { starter, variables, .. } = case.deserted()?;
    let mut worker = starter.start("worker", &variables)?;
    // It may try for some seconds before it gives up; what dies of this dies soon.
    stays(Duration::from_secs(8), || {
        worker.ensure_alive()?;
        Ok(None::<()>)
    })?;
    worker.end()
}

fn no_environment_by_name(case: &Case) -> Result<()> {
    const NAMES: [&str; 8] = [
        "APP_ENV",
        "ENV",
        "ENVIRONMENT",
        "NODE_ENV",
        "DJANGO_ENV",
        "RUST_ENV",
        "FLASK_ENV",
        "DEBUG",
    ];
    let project = case.project()?;
    for file in project.tracked()? {
        let Some(text) = project.read(&file).filter(|_| extension(&file) != "md") else {
            continue;
        };
        for name in ["APP_ENV", "APP_ENVIRONMENT", "DJANGO_ENV", "RAILS_ENV", "FLASK_ENV"] {
            ensure!(!names(&text, name), "{file} speaks of {name}");
        }
    }
    for value in ["production"] {
        let Deserted { starter, mut variables, port } = case.deserted()?;
        for name in NAMES {
            variables = variables.with(name, value);
        }
        let web = Web::alive(starter.start("web", &variables)?, port)?;
        let said = web.client.get("/")?.expect(200)?.json()?;
        ensure!(said == json!({ "name": NAME, "release": "dev" }), "as {value}, GET / says {said}");
        web.client.get("/nowhere")?.expect_problem(404)?;
        web.process.end()?;
    }
    Ok(())
}

fn needs_no_env_file(case: &Case) -> Result<()> {
    let lines = "PORT=abc\nRELEASE=from-a-file\nSESSION_SECRET=short\nLOG_LEVEL=loud\n";
    let project = case.variant("with a .env", &[format!("printf '{lines}' > .env")])?;
    let Deserted { variables, port, .. } = case.deserted()?;
    let starter = Starter::of_project(case, &project);
    let web = Web::alive(starter.start("web", &variables.with("RELEASE", "from-outside"))?, port)?;
    let said = web.client.get("/")?.expect(200)?.json()?;
    ensure!(said["release"] == "from-outside", "a .env overruled the environment: {said}");
    web.process.end()
}

fn hides_secrets(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let variables = stage.variables.with("LOG_LEVEL", "debug");
    let web = stage.web_with(&variables)?;
    let worker = stage.start_with("worker", &variables)?;
    let mut answers = vec![web.client.post("/session", &json!({ "name": "Ada" }))?.text()];
    let note = web.post_note("three little words")?;
    web.wait_for_count(note, 3)?;
    // An error in the database that nobody foresaw, then no Redis at all.
    let table = stage.database.notes_table()?;
    stage.database.query(&format!("DROP TABLE {table}"))?;
    answers.push(web.client.get("/notes")?.text());
    answers.push(web.client.post("/notes", &json!({ "body": "x" }))?.text());
    stage.redis.stop()?;
    answers.push(web.client.get("/readyz")?.text());
    answers.push(web.client.post("/session", &json!({ "name": "Ada" }))?.text());
    let garbage = web.client.with_cookie("session=garbage; sessionid=garbage");
    answers.push(garbage.get("/session")?.text());
    answers.push(describe_everything(&web.client)?);
    let (_, release) = stage.starter.run("release", &variables)?;
    // A wrong password is where drivers like to print the URL.
    let wrong = Secret::new("wrong");
    let url = stage.database.url().replace(&stage.database.password, wrong.as_str());
    let (_, refused) = stage.starter.run("release", &variables.with("DATABASE_URL", &url))?;
    let ended = |mut process: Process| -> Result<String> {
        process.terminate();
        process.wait_for_exit(SOON)?;
        Ok(process.text())
    };
    let mut said = answers.join("\n");
    said += &ended(web.process)?;
    said += &ended(worker)?;
    said += &release.text();
    said += &refused.text();
    expect_hidden(&said, stage.secrets())?;
    expect_hidden(&said, [wrong.as_str()])
}

/// Asks where careless frameworks show their settings.
fn describe_everything(client: &Client) -> Result<String> {
    let mut said = String::new();
    for target in ["/debug", "/env", "/metrics", "/docs", "/openapi.json", "/admin", "/.env"] {
        said += &client.send(&Request::get(target))?.text();
    }
    Ok(said)
}

fn showed_no_canary(case: &Case) -> Result<()> {
    for transcript in case.all_transcripts() {
        for line in &transcript.lines {
            ensure!(
                !line.text.contains("canary-"),
                "{} wrote a secret: {}",
                transcript.process,
                line.text
            );
        }
    }
    Ok(())
}
