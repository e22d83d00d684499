//! Factor III, config: each variable required, defaulted or refused, and nothing else listened to.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::backing::{Engine, Secret};
use super::case::{Case, Starter, Web};
use super::claim::{Claim, Need, Order};
use super::probe::http::{Client, Request};
use super::probe::output::Line;
use super::probe::patience::{SOON, wait_for};
use super::probe::process::Process;
use super::probe::procfs;
use super::probe::record;
use super::probe::variables::Variables;
use super::subject::Kind;
use super::untested::Untested;

pub const CLAIMS: &[Claim] = &[
    Claim::new("each required variable unset: web exits within 5 s, naming it", names_each_missing)
        .needs(&[Need::Required])
        .hint("read all variables first, without a default for what must differ between deploys"),
    Claim::new(
        "with no required variable set, every process and task exits within 5 s, naming all of them at once",
        names_all_missing,
    )
    .needs(&[Need::Required])
    .hint("collect what is missing and name it in one message, in every process"),
    Claim::new(
        "PORT=abc, malformed URLs and whatever else is malformed: web exits within 5 s, \
         naming every one at once and the value of none",
        |case| refuses_malformed(case, "web", MALFORMED_ROWS),
    )
    .hint("check the form of each variable at start"),
    Claim::new(
        "worker refuses the same malformed variables, naming every one and the value of none",
        |case| refuses_malformed(case, "worker", 1),
    )
    .needs(&[Need::Contract]),
    Claim::new(
        "release refuses the same malformed variables, naming every one and the value of none",
        |case| refuses_malformed(case, "release", 1),
    )
    .needs(&[Need::Contract]),
    Claim::new("a missing, an empty and a malformed variable are named in one go", names_mixed)
        .needs(&[Need::Contract]),
    Claim::new("SESSION_SECRET of 31 characters is refused, of 32 accepted", borders_secret)
        .needs(&[Need::Contract]),
    Claim::new("postgresql:// is accepted like postgres://", accepts_long_scheme)
        .needs(&[Need::Contract]),
    Claim::new("PORT is 8000 unless it is set", defaults_port).needs(&[Need::Contract]),
    Claim::new("RELEASE is dev unless it is set", defaults_release).needs(&[Need::Contract]),
    Claim::new("LOG_LEVEL is obeyed, and info unless it is set", obeys_log_level)
        .needs(&[Need::Variable(Kind::LogLevel)])
    .hint("give the level that LOG_LEVEL says to every logger"),
    Claim::new("WEB_CONCURRENCY adds a server", adds_servers)
        .needs(&[Need::Variable(Kind::Concurrency)])
    .hint("start as many servers as WEB_CONCURRENCY says"),
    Claim::new("no environment by name changes what the service does", no_environment_by_name)
        .hint("one variable for each thing that differs, instead of NODE_ENV and the like"),
    Claim::new("no .env is needed, and one that lies about is not believed", needs_no_env_file)
        .needs(&[Need::NativeBuild])
        .hint("let the environment win over a .env file, or read none"),
    Claim::new("a secret never appears where everything goes wrong", hides_secrets)
        .hint("keep settings and URLs out of messages, and debug pages out of the service"),
    Claim::new("no process of this run ever showed a canary secret", showed_no_canary)
        .begins(Order::Last)
    .hint("keep settings and URLs out of messages"),
];

/// The contract's limit for an exit over the configuration.
const EXIT_LIMIT: Duration = Duration::from_secs(5);
/// When nobody waits any longer for it.
const GIVE_UP: Duration = Duration::from_secs(15);

/// Starts a line that must refuse its variables, and gives all that it said.
fn refused(starter: &Starter, name: &str, variables: &Variables) -> Result<String> {
    let mut process = starter.start(name, variables)?;
    let exit = wait_for(format!("{name} to refuse its variables"), GIVE_UP, || {
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

/// Says whether a text names a variable: as a word of its own, in its own spelling.
fn names(text: &str, variable: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(variable).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + variable.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Expects these variables to be named, and, of a service that dozen made, of all others none.
fn expect_named(case: &Case, said: &str, faulty: &[&str]) -> Result<()> {
    for variable in &case.subject().variables {
        let name = variable.name.as_str();
        let named = names(said, name);
        if faulty.contains(&name) && !named {
            bail!("{name} is at fault and is not named (all at fault: {faulty:?})");
        }
        if case.subject().keeps_contract && !faulty.contains(&name) && named {
            bail!("{name} is named, but nothing is wrong with it (at fault: {faulty:?})");
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

fn required(case: &Case) -> Vec<&str> {
    case.subject().required().map(|variable| variable.name.as_str()).collect()
}

fn names_each_missing(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let required = required(case);
    for variable in &required {
        let said = refused(&stage.starter, "web", &stage.variables.without(variable))
            .with_context(|| format!("web without {variable}"))?;
        expect_named(case, &said, &[variable])?;
        expect_hidden(&said, required.iter().filter_map(|name| stage.variables.get(name)))?;
    }
    Ok(())
}

fn names_all_missing(case: &Case) -> Result<()> {
    let bare = case.without_required()?;
    let required = required(case);
    for process in case.subject().lines.keys() {
        let without = || format!("{process} without {}", required.join(", "));
        let said = refused(&bare.starter, process, &bare.variables).with_context(without)?;
        expect_named(case, &said, &required).with_context(without)?;
    }
    Ok(())
}

const MALFORMED_ROWS: usize = 3;

/// Values that are wrong in every variable at once, row by row, and no two in the same way. `{}` stands for a
/// secret.
const MALFORMED: [(Kind, [&str; MALFORMED_ROWS]); 6] = [
    (Kind::Port, ["abc", "0", "65536"]),
    (
        Kind::Database,
        ["no url at all {}", "sqlite:///{}.db", "postgres://shop:{}@127.0.0.1:99999/shop"],
    ),
    (
        Kind::Redis,
        ["no url at all {}", "http://:{}@127.0.0.1/", "redis://:{}@127.0.0.1:nineteen/0"],
    ),
    (Kind::LogLevel, ["loud", "10", "{}"]),
    (Kind::Deadline, ["soon", "-1", "10s"]),
    (Kind::Concurrency, ["many", "0", "1.5"]),
];

fn refuses_malformed(case: &Case, process: &str, rows: usize) -> Result<()> {
    let stage = case.stage()?;
    let subject = case.subject();
    // Of others, only what can mean nothing at all is certain to be malformed.
    let rows = if subject.keeps_contract { rows } else { 1 };
    let canary = Secret::new("malformed");
    for row in 0..rows {
        let mut broken = stage.variables.clone();
        let mut values = Vec::new();
        let mut faulty = Vec::new();
        if subject.keeps_contract {
            // One secret is too short by one character.
            let short = &canary.as_str()[..31];
            let secret = case.variable(Kind::Secret)?;
            broken = broken.with(secret, short);
            values.push(short.to_owned());
            faulty.push(secret);
        }
        for (kind, wrong) in MALFORMED {
            let Some(name) = subject.variable(kind) else {
                continue;
            };
            let value = wrong[row].replace("{}", canary.as_str());
            broken = broken.with(name, &value);
            values.push(value);
            faulty.push(name);
        }
        if faulty.is_empty() {
            let why = "no variable is declared whose form is known";
            return Err(Untested::Pointless { why }.into());
        }
        let with = || format!("{process} with {}", faulty.join(", "));
        let said = refused(&stage.starter, process, &broken).with_context(with)?;
        expect_named(case, &said, &faulty).with_context(with)?;
        expect_hidden(&said, values.iter().map(String::as_str))?;
        expect_hidden(&said, [&canary.as_str()[..20]])?;
    }
    Ok(())
}

fn names_mixed(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let [database, redis, port] =
        [case.variable(Kind::Database)?, case.variable(Kind::Redis)?, case.variable(Kind::Port)?];
    let variables = stage.variables.without(redis).with(database, "").with(port, "abc");
    let said = refused(&stage.starter, "web", &variables)?;
    expect_named(case, &said, &[redis, database, port])
}

fn borders_secret(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    let name = case.variable(Kind::Secret)?;
    let shortest = shop.stage.variables.get(name).unwrap_or_default();
    ensure!(shortest.len() == 32, "the shop's own secret should have 32 characters");
    shop.web.greet()?;
    let stage = case.stage()?;
    let said = refused(&stage.starter, "web", &stage.variables.with(name, &shortest[..31]))?;
    expect_named(case, &said, &[name])?;
    expect_hidden(&said, [&shortest[..31]])
}

fn accepts_long_scheme(case: &Case) -> Result<()> {
    let server = case.setting.ground.backing.shared(Engine::Postgres)?;
    let stage = case.stage_on(server.create()?)?;
    let name = case.variable(Kind::Database)?;
    let url = stage.variables.get(name).unwrap_or_default().replacen("postgres:", "postgresql:", 1);
    let variables = stage.variables.with(name, &url);
    let (exit, process) = stage.starter.run("release", &variables)?;
    ensure!(exit.is_zero(), "release ended with {exit}: {}", process.text());
    let web = stage.web_with(&variables)?;
    web.greet()?;
    web.process.end()
}

fn defaults_port(case: &Case) -> Result<()> {
    const DEFAULT: u16 = 8000;
    let freed = wait_for("port 8000", Duration::from_secs(20), || {
        Ok((!procfs::is_taken(DEFAULT)).then_some(()))
    });
    if freed.is_err() {
        let remedy = "stop what listens on it";
        return Err(Untested::Missing { what: "port 8000", remedy }.into());
    }
    let stage = case.stage()?;
    let variables = stage.variables.without(case.variable(Kind::Port)?);
    let web = Web::alive(&case.setting, stage.start_with("web", &variables)?, DEFAULT)?;
    web.process.end()
}

fn defaults_release(case: &Case) -> Result<()> {
    let said = case.shared()?.get("/")?.expect(200)?.json()?;
    let expected = json!({ "name": case.subject().name, "release": "dev" });
    ensure!(said == expected, "GET / says {said}");
    Ok(())
}

fn adds_servers(case: &Case) -> Result<()> {
    // Some servers have a parent that holds the port too: what counts is what the variable adds.
    let stage = case.stage()?;
    let name = case.variable(Kind::Concurrency)?;
    let unset = &case.shop()?.web;
    let one = stage.web_with(&stage.on_another_port()?.with(name, &1))?;
    let two = stage.web_with(&stage.on_another_port()?.with(name, &2))?;
    let holders = |web: &Web| web.process.listening_processes();
    // Where threads serve side by side, it counts them; elsewhere processes.
    wait_for("a second server with WEB_CONCURRENCY=2", SOON, || {
        let more = holders(&two) > holders(&one) || two.process.threads() > one.process.threads();
        Ok(more.then_some(()))
    })?;
    ensure!(
        !case.subject().keeps_contract || holders(unset) == holders(&one),
        "{} processes hold the port by default, {} with WEB_CONCURRENCY=1",
        holders(unset),
        holders(&one)
    );
    [one, two].into_iter().try_for_each(|web| web.process.end())
}

fn obeys_log_level(case: &Case) -> Result<()> {
    let name = case.variable(Kind::LogLevel)?;
    let ask = |web: &Web| -> Result<()> {
        web.greet()?;
        web.client.get("/nowhere-at-all").map(|_| ())
    };
    let levels = |process: &Process| -> Vec<String> {
        let level = |line: &Line| record::level(&serde_json::from_str(&line.text).ok()?);
        process.lines().iter().filter_map(level).collect()
    };
    let has = |levels: &[String], names: &[&str]| {
        levels.iter().any(|level| names.contains(&level.as_str()))
    };
    let shop = case.shop()?;
    ask(&shop.web)?;
    let by_default = levels(&shop.web.process);
    if by_default.is_empty() {
        // Without JSON, or on another stream, levels cannot be told apart; that is for the logs to say.
        let what = "no line has a level".to_owned();
        return Err(Untested::Blocked { by: crate::factor::Factor::Logs, what }.into());
    }
    let stage = case.stage()?;
    if stage.variables.get(name).is_none_or(|level| level.eq_ignore_ascii_case("info")) {
        ensure!(
            has(&by_default, &["info"]),
            "by default there is no line of level info: {by_default:?}"
        );
        ensure!(
            !has(&by_default, &["debug", "trace"]),
            "by default there are lines of level debug"
        );
    }
    // Some libraries know no `warning`, others no `warn`.
    let level = if case.subject().keeps_contract { "warning" } else { "error" };
    let quiet = stage.variables.with(name, &case.subject().spell_level(level));
    let mut web = stage.alive(stage.start_with("web", &quiet)?)?;
    ask(&web)?;
    web.process.terminate();
    let _ = web.process.wait_for_exit(EXIT_LIMIT);
    let warning = levels(&web.process);
    ensure!(!has(&warning, &["info", "debug", "trace"]), "with LOG_LEVEL={level}: {warning:?}");
    Ok(())
}

fn no_environment_by_name(case: &Case) -> Result<()> {
    const NAMES: [&str; 11] = [
        "APP_ENV",
        "APP_ENVIRONMENT",
        "ENV",
        "ENVIRONMENT",
        "NODE_ENV",
        "DJANGO_ENV",
        "RUST_ENV",
        "FLASK_ENV",
        "FLASK_DEBUG",
        "RAILS_ENV",
        "DEBUG",
    ];
    let declared = |name: &str| case.subject().variables.iter().any(|it| it.name == name);
    let answers = |client: &Client| -> Result<Vec<(u16, String)>> {
        let mut answers = Vec::new();
        for path in ["/", "/nowhere-at-all"] {
            let answer = client.get(path)?;
            let kind = answer.header("Content-Type").unwrap_or_default().to_owned();
            answers.push((answer.status, kind));
        }
        Ok(answers)
    };
    let plain = answers(case.shared()?)?;
    let stage = case.stage()?;
    let mut variables = stage.variables.clone();
    for name in NAMES.into_iter().filter(|name| !declared(name)) {
        variables = variables.with(name, "production");
    }
    let web = stage
        .alive(stage.start_with("web", &variables)?)
        .context("with APP_ENV=production and its like")?;
    let named = answers(&web.client)?;
    web.process.end()?;
    ensure!(
        plain == named,
        "with APP_ENV=production and its like, GET / and a path that is not there answer {named:?}, without {plain:?}"
    );
    Ok(())
}

fn needs_no_env_file(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let names = stage.variables.iter().map(|(name, _)| name.as_str());
    let lies: Vec<String> = names.map(|name| format!("{name}=a-lie")).collect();
    let lies = lies.join("\n");
    // The copy is made of links: what is written through one would change the original.
    let write = format!("rm -f .env; printf %s {} > .env", shell_words::quote(&lies));
    let project = case.setting.copy(&[write])?;
    let starter = Starter::of_project(case, &project);
    let variables = match case.subject().variable(Kind::Release) {
        Some(name) => stage.variables.with(name, "from-outside"),
        None => stage.variables.clone(),
    };
    let web = stage
        .ready(starter.start("web", &variables)?, stage.port)
        .context("beside a .env whose values are all wrong")?;
    if case.subject().keeps_contract {
        let said = web.client.get("/")?.expect(200)?.json()?;
        ensure!(said["release"] == "from-outside", "a .env overruled the environment: {said}");
    }
    web.process.end()
}

fn hides_secrets(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut variables = stage.variables.clone();
    if let Some(name) = case.subject().variable(Kind::LogLevel) {
        variables = variables.with(name, &case.subject().spell_level("debug"));
    }
    let web = stage.web_with(&variables)?;
    let has = |name: &str| case.subject().lines.contains_key(name);
    let worker = has("worker").then(|| stage.start_with("worker", &variables)).transpose()?;
    let mut answers = vec![web.greet()?.text()];
    let has_item = case.subject().told.item.is_some();
    let item = has_item.then(|| web.create_item()).transpose()?;
    // An error in the database that nobody foresaw, then no Redis at all.
    if let (Ok(database), true) = (stage.database(), has_item) {
        let table = database.quote(case.item_table()?);
        database.query(&format!("DROP TABLE {table}"))?;
    }
    if let Some(item) = &item {
        answers.push(web.client.send(&web.reading(item)?)?.text());
        answers.push(web.client.send(&web.creation(None)?)?.text());
    }
    if let Ok(redis) = stage.redis() {
        redis.stop()?;
    }
    if let Some(session) = &case.subject().told.session {
        answers.push(web.client.send(&session.begin.request(&Value::Null))?.text());
        let garbage = web.client.with_cookie("session=garbage; sessionid=garbage; sid=garbage");
        answers.push(garbage.send(&session.read.request(&Value::Null))?.text());
    }
    answers.push(describe_everything(&web.client)?);
    let wrong = Secret::new("wrong");
    let mut said = answers.join("\n");
    if has("release") {
        let (_, release) = stage.starter.run("release", &variables)?;
        said += &release.text();
        // A wrong password is where drivers like to print the URL.
        if let (Some(name), Ok(database)) =
            (case.subject().variable(Kind::Database), stage.database())
        {
            let url =
                variables.get(name).unwrap_or_default().replace(&database.password, wrong.as_str());
            let (_, refused) = stage.starter.run("release", &variables.with(name, &url))?;
            said += &refused.text();
        }
    }
    let ended = |mut process: Process| -> Result<String> {
        process.terminate();
        let _ = process.wait_for_exit(EXIT_LIMIT);
        Ok(process.text())
    };
    said += &ended(web.process)?;
    if let Some(worker) = worker {
        said += &ended(worker)?;
    }
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
