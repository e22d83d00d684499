//! `dozen check` from outside: what it says of the services that dozen makes, of broken trees, and to machines.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::LazyLock;

use dozen::answers::question::Question;
use dozen::answers::{Draft, Source};
use dozen::check::finding::{Report, Verdict};
use dozen::check::rule::Rules;
use dozen::check::{self, Repository};
use dozen::plan;
use dozen::service::Service;
use dozen::stack::Stack;
use dozen::templates;
use dozen::tree::{Content, RepoPath, Tree};
use proptest::prelude::*;
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator as _};
use serde_json::Value;
use support::Place;

/// A secret's value that must not show anywhere.
const CANARY: &str = "canary7secret7value";

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::load().unwrap());

fn judge(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Report {
    let files = files.into_iter().filter_map(|(path, bytes)| {
        Some((RepoPath::parse(&path).ok()?, Content { bytes, executable: false }))
    });
    let tree = Tree::from_files(files);
    let repository = Repository { is_versioned: true, ..Repository::default() };
    check::check(tree, repository, &RULES, None, &[]).unwrap()
}

fn judge_texts(files: &[(&str, &str)]) -> Report {
    judge(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())))
}

fn render(stack: &str, options: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    let mut draft = Draft::new(Question::all().unwrap());
    draft.offer("name", "shop", Source::Default).unwrap();
    draft.offer("stack", stack, Source::Default).unwrap();
    for (key, value) in options {
        draft.offer(key, value, Source::Default).unwrap();
    }
    draft.fill_defaults();
    let service = Service::from_answers(&draft.complete().unwrap()).unwrap();
    let rendered = templates::render(&templates::find_all(stack), &service).unwrap();
    let plan = plan::plan(PathBuf::new(), &Tree::default(), Vec::new(), rendered);
    plan.changes
        .into_iter()
        .map(|change| (change.path.to_string(), change.after.unwrap().bytes))
        .collect()
}

fn combinations() -> Vec<Vec<(String, String)>> {
    Question::options().unwrap().iter().fold(vec![Vec::new()], |rows, question| {
        rows.iter()
            .flat_map(|row| {
                question.choices.iter().map(|choice| {
                    let mut longer = row.clone();
                    longer.push((question.key.clone(), choice.value.clone()));
                    longer
                })
            })
            .collect()
    })
}

#[test]
fn what_dozen_makes_is_green_with_every_answer() {
    let combinations = combinations();
    for stack in Stack::all().unwrap() {
        combinations.par_iter().for_each(|options| {
            let report = judge(render(&stack.slug, options));
            let wrong: Vec<_> = report
                .factors
                .iter()
                .filter(|said| said.verdict != Verdict::Met)
                .map(|said| format!("{} {:?} {}", said.factor, said.verdict, said.reason))
                .collect();
            let findings: Vec<_> = report
                .findings
                .iter()
                .map(|found| format!("{}:{} {}", found.place.path, found.place.line, found.rule))
                .collect();
            assert!(wrong.is_empty(), "{} {options:?}: {wrong:#?}\n{findings:#?}", stack.slug);
            assert_eq!(report.unread, [], "{} {options:?}", stack.slug);
        });
    }
}

const LEAKING: [(&str, &str); 9] = [
    (
        "package.json",
        "{\"name\": \"a\", \"dependencies\": {\"express\": \"5\"}, \"scripts\": {\"start\": \"node a.js\"}}",
    ),
    (
        "a.js",
        "const SECRET = 'canary7secret7value'\napp.use(session({ secret: 'canary7secret7value' }))\nmongoose.connect('mongodb://me:canary7secret7value@host/db')\nconst k = process.env.JWT_SECRET || 'canary7secret7value'\napp.listen(3000)",
    ),
    ("requirements.txt", "flask==3.0.0\n"),
    (
        "app.py",
        "SECRET_KEY = 'canary7secret7value'\nKEY = os.environ.get('SECRET_KEY', 'canary7secret7value')\nurl = 'postgres://me:canary7secret7value@db/x'\nif form.password == 'canary7secret7value': pass\n",
    ),
    ("Cargo.toml", "[package]\nname = 'a'\n[dependencies]\naxum = '0.8'\n"),
    (
        "src/main.rs",
        "const JWT_SECRET: &str = \"canary7secret7value\";\nfn main() { EncodingKey::from_secret(b\"canary7secret7value\"); }",
    ),
    (".env", "SECRET_KEY=canary7secret7value\n"),
    (
        "docker-compose.prod.yml",
        "services:\n  a:\n    build: .\n    environment:\n      - SECRET_KEY=canary7secret7value\n      - DATABASE_URL=postgres://me:canary7secret7value@db/x\n",
    ),
    (
        "config.json",
        "{\"secret\": \"canary7secret7value\",\n\"database\": {\"password\": \"canary7secret7value\", \"host\": \"canary7secret7value\"}}",
    ),
];

fn leaking_place() -> Place {
    let place = Place::new();
    for (path, text) in LEAKING {
        place.write(path, text);
    }
    place
}

#[test]
fn a_secret_is_in_no_output() {
    let place = leaking_place();
    for format in ["text", "json", "sarif", "github"] {
        let run = place.run(["check", "--format", format]).expect(1);
        assert!(!run.out.contains(CANARY) && !run.err.contains(CANARY), "{format}: {}", run.out);
        let rules = [
            "secret-literal",
            "secret-default",
            "env-file-secret",
            "compose-secret",
            "config-file-secret",
        ];
        for rule in rules {
            assert!(run.out.contains(rule), "{format} does not name {rule}");
        }
    }
    place.run(["check", "--write-baseline"]).expect(0);
    let baseline = fs::read_to_string(place.path(".dozen-check.toml")).unwrap();
    assert!(!baseline.contains(CANARY) && baseline.contains("secret-literal"));
}

#[test]
fn json_is_what_the_schema_says() {
    let place = leaking_place();
    let schema = place.ok(["schema"]).json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let report = place.run(["check", "--json"]).expect(1).json();
    assert!(validator.is_valid(&report), "{:?}", validator.validate(&report));
    assert_eq!(report["schema"], 1);
    assert_eq!(report["factors"].as_array().unwrap().len(), 12);
    let one = place.run(["check", "--json", "--factor", "logs"]).expect(0).json();
    assert_eq!(one["factors"][0]["factor"], "logs");
    assert!(validator.is_valid(&one));
}

#[test]
fn sarif_is_what_its_schema_says() {
    let schema: Value = serde_json::from_str(include_str!("check/sarif-2.1.0.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let place = leaking_place();
    place.write("b.js", "// dozen: allow(secret-literal-in-script) a throw-away for the example\nconst SECRET = 'abcdefgh'\n");
    let log = place.run(["check", "--format", "sarif"]).expect(1).json();
    assert!(validator.is_valid(&log), "{:?}", validator.validate(&log));
    let results = log["runs"][0]["results"].as_array().unwrap();
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(!results.is_empty());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
}

#[test]
fn an_image_installs_by_the_lock() {
    let finds = |image: &str| {
        let package = "{\"dependencies\": {\"express\": \"5\"}}";
        let files = [("package.json", package), ("package-lock.json", "{}"), ("Dockerfile", image)];
        let found = judge_texts(&files).findings.into_iter();
        found.filter(|found| found.rule == "image-without-lock").count() > 0
    };
    for (image, is_found) in [
        ("FROM node:24\nCOPY package.json .\nRUN npm install\nCOPY . .\n", true),
        ("FROM node:24\nCOPY [\"package.json\", \"./\"]\nRUN npm i\n", true),
        ("FROM node:24\nCOPY package*.json ./\nRUN npm install\n", false),
        ("FROM node:24\nCOPY package.json package-lock.json ./\nRUN npm ci\n", false),
        ("FROM node:24\nCOPY package.json ./\nCOPY package-lock.json ./\nRUN npm ci\n", false),
        ("FROM node:24\nCOPY package.json .\nCOPY . .\nRUN npm ci\n", false),
        ("FROM node:24\nCOPY package.json .\nRUN npm install\nCOPY . .\nRUN npm ci\n", false),
        ("FROM node:24\nCOPY web/package.json .\nRUN npm install\n", false),
        ("FROM node:24 AS a\nFROM node:24\nCOPY --from=a package.json .\nRUN npm ci\n", false),
        ("FROM node:24\nCOPY package.json .\nCMD [\"node\", \"app.js\"]\n", false),
    ] {
        assert_eq!(finds(image), is_found, "{image}");
    }
}

/// What is found of these rules, as `rule path:line`.
fn lines_of(rules: &[&str], files: &[(&str, &str)]) -> Vec<String> {
    let found = judge_texts(files).findings.into_iter();
    let wanted = found.filter(|found| rules.contains(&found.rule.as_str()));
    let mut lines: Vec<String> = wanted
        .map(|found| format!("{} {}:{}", found.rule, found.place.path, found.place.line))
        .collect();
    lines.sort();
    lines
}

const VERSIONS: [&str; 3] =
    ["service-version-open", "service-versions-differ", "runtime-versions-differ"];

#[test]
fn the_pipelines_of_every_host_are_read_for_versions() {
    let compose = ("compose.yaml", "services:\n  db:\n    image: mongo:7\n");
    let image = ("Dockerfile", "FROM node:24\nCMD [\"node\", \"app.js\"]\n");
    for (path, text, lines) in [
        (".travis.yml", "node_js:\n  - '12'\nservices:\n  - mongodb\n", [2, 4]),
        (
            ".circleci/config.yml",
            "jobs:\n  a:\n    docker:\n      - image: cimg/node:18.2\n      - image: mongo:5\n",
            [4, 5],
        ),
        (".gitlab-ci.yml", "image: node:18\nservices:\n  - mongo:5\n", [1, 3]),
        (
            ".github/workflows/test.yml",
            "jobs:\n  a:\n    services:\n      db:\n        image: mongo:6\n    steps:\n      - with:\n          node-version: 18.x\n",
            [8, 5],
        ),
    ] {
        let found = lines_of(&VERSIONS, &[compose, image, (path, text)]);
        let [runtime, service] = lines.map(|line| format!("{path}:{line}"));
        assert!(found.contains(&format!("runtime-versions-differ {runtime}")), "{found:?}");
        assert!(found.contains(&format!("service-versions-differ {service}")), "{found:?}");
    }
    let tool = "jobs:\n  a:\n    steps:\n      - with:\n          python-version: '3.9'\n      - run: pip install twine\n";
    let found = lines_of(
        &VERSIONS,
        &[("Dockerfile", "FROM python:3.14\n"), (".github/workflows/a.yml", tool)],
    );
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_version_that_is_left_open_is_found_wherever_a_container_is_started() {
    let script =
        "DB=postgres\ndocker run \\\n  -e A=b --name \"a b\" \\\n  -d ${DB} \\\n  -N 100\n";
    let workflow = "jobs:\n  a:\n    services:\n      db:\n        image: postgres:17\n";
    let files = [("scripts/db.sh", script), (".github/workflows/a.yml", workflow)];
    assert_eq!(lines_of(&VERSIONS, &files), ["service-versions-differ scripts/db.sh:4"]);
    let files = [
        ("compose.yaml", "services:\n  db:\n    image: redis:latest\n"),
        ("dev-compose.yml", "services:\n  db:\n    image: redis\n"),
        ("Makefile", "redis:\n\tdocker run --rm -p 1:1 redis:alpine\n"),
        ("other.sh", "docker run -v redis:/data shop/web redis\n"),
    ];
    let found = ["Makefile:2", "compose.yaml:3", "dev-compose.yml:3"];
    assert_eq!(lines_of(&VERSIONS, &files), found.map(|at| format!("service-version-open {at}")));
}

#[test]
fn source_is_mounted_over_the_build_where_nothing_runs_without_it() {
    let rules = ["run-mounts-source", "image-without-command", "run-reloads"];
    let manifest = ("requirements.txt", "fastapi==0.1\n");
    let code = ("src/main.py", "import fastapi\n");
    let compose = "services:\n  web:\n    build: .\n    command: >\n      uvicorn main:app\n      --reload\n    volumes:\n      - ./src/:/src\n      - ./data:/data\n";
    let open = ("Dockerfile", "FROM python:3.14\nCOPY src src\n");
    let whole = ("Dockerfile", "FROM python:3.14\nCOPY src src\nCMD [\"uvicorn\", \"main:app\"]\n");
    let files = |image| [manifest, code, ("docker-compose.yml", compose), image];
    let found = [
        "image-without-command Dockerfile:1",
        "run-mounts-source docker-compose.yml:8",
        "run-reloads docker-compose.yml:6",
    ];
    assert_eq!(lines_of(&rules, &files(open)), found);
    assert!(lines_of(&rules, &files(whole)).is_empty());
    let files = [
        (".devcontainer/Dockerfile", "FROM node:24\n"),
        ("db/Dockerfile", "FROM postgres:17-alpine\nCOPY a.sql /\n"),
    ];
    assert!(lines_of(&rules, &files).is_empty());
}

#[test]
fn an_image_is_for_every_environment() {
    let rules = ["image-carries-environments", "image-names-environment", "image-copies-config"];
    let image = "FROM debian:13\nCOPY configuration configuration\nCOPY static /static\nENV APP_ENVIRONMENT production\n";
    let files = [
        ("Dockerfile", image),
        ("configuration/production.yaml", "port: 1\n"),
        ("static/key.pem", "-----BEGIN PRIVATE KEY-----\n"),
    ];
    let found = [
        "image-carries-environments Dockerfile:2",
        "image-copies-config Dockerfile:3",
        "image-names-environment Dockerfile:4",
    ];
    assert_eq!(lines_of(&rules, &files), found);
    let files = [("Dockerfile", image), ("configuration/base.yaml", "port: 1\n")];
    assert!(lines_of(&rules, &files).is_empty());
}

#[test]
fn a_release_has_a_name_that_stays() {
    let rules = ["image-only-latest", "builds-on-target"];
    let script = "docker build -t shop/web .\ndocker push shop/web\n";
    assert_eq!(lines_of(&rules, &[("deploy.sh", script)]), ["image-only-latest deploy.sh:1"]);
    let script = "docker build -t shop/web .\ndocker tag shop/web shop/web:$SHA\ndocker push shop/web:$SHA\n";
    assert!(lines_of(&rules, &[("deploy.sh", script)]).is_empty());
    let workflow = "jobs:\n  a:\n    steps:\n      - run: docker compose up -d --build\n";
    let found = lines_of(&rules, &[(".github/workflows/deploy.yml", workflow)]);
    assert_eq!(found, ["builds-on-target .github/workflows/deploy.yml:4"]);
    assert!(lines_of(&rules, &[(".github/workflows/test.yml", workflow)]).is_empty());
}

#[test]
fn tools_are_declared_and_the_lock_is_that_of_the_manager() {
    let rules = ["script-tool-undeclared", "lock-of-another-manager"];
    let package = "{\n\"scripts\": {\n\"start\": \"A=b nodemon app.js\",\n\"lint\": \"eslint .\"\n},\n\"dependencies\": {\"express\": \"5\", \"eslint\": \"9\"}}";
    let workflow =
        "jobs:\n  a:\n    steps:\n      - run: npm install -g yarn\n      - run: npm ci\n";
    let files =
        [("package.json", package), ("yarn.lock", ""), (".github/workflows/a.yml", workflow)];
    let found = [
        "lock-of-another-manager .github/workflows/a.yml:5",
        "script-tool-undeclared package.json:3",
    ];
    assert_eq!(lines_of(&rules, &files), found);
    let files =
        [("package.json", "{}"), ("package-lock.json", ""), (".github/workflows/a.yml", workflow)];
    assert!(lines_of(&rules, &files).is_empty());
}

#[test]
fn what_production_calls_is_declared_and_pinned() {
    let rules = ["run-tool-undeclared", "image-tool-unpinned"];
    let list = ("requirements.txt", "flask==3.0\n");
    let code = ("app.py", "import flask\n");
    let web = ("Procfile", "web: gunicorn app:app\nworker: python -m celery -A app worker\n");
    let found = ["run-tool-undeclared Procfile:1", "run-tool-undeclared Procfile:2"];
    assert_eq!(lines_of(&rules, &[list, code, web]), found);
    let more = ("requirements/production.txt", "gunicorn==23.0\ncelery==5.4\n");
    assert!(lines_of(&rules, &[list, code, web, more]).is_empty());
    let image = "FROM python:3.14\nRUN pip install --upgrade pip gunicorn\nCMD [\"gunicorn\", \"app:app\"]\n";
    let found = ["image-tool-unpinned Dockerfile:2"];
    assert_eq!(lines_of(&rules, &[list, code, ("Dockerfile", image)]), found);
}

#[test]
fn a_list_that_an_image_installs_is_judged_beside_a_lock() {
    let rules = ["requirement-unpinned", "requirements-incomplete", "installs-past-lock"];
    let manifest = ("Pipfile", "[packages]\nflask = \"*\"\n");
    let lock = ("Pipfile.lock", "{\"default\": {\"flask\": {}}}");
    let list = ("requirements/prod.txt", "flask\n");
    let image = |line: &str| format!("FROM python:3.14\nRUN {line}\nCMD [\"python\", \"a.py\"]\n");
    let installs = image("pip install -r requirements/prod.txt");
    let files = [manifest, lock, list, ("Dockerfile", &*installs)];
    assert_eq!(lines_of(&rules, &files), ["requirement-unpinned requirements/prod.txt:1"]);
    let other = image("pipenv install --deploy");
    assert!(lines_of(&rules, &[manifest, lock, list, ("Dockerfile", &other)]).is_empty());
    let other = image("pipenv install --skip-lock");
    let found = ["installs-past-lock Dockerfile:2"];
    assert_eq!(lines_of(&rules, &[manifest, lock, list, ("Dockerfile", &other)]), found);
    let list = "click==8\nflask==3.0\nitsdangerous==2\njinja2==3\nmarkupsafe==2\nwerkzeug==3\n";
    let found = ["requirements-incomplete requirements.txt:2"];
    assert_eq!(lines_of(&rules, &[("requirements.txt", list)]), found);
}

#[test]
fn versions_of_matrices_arguments_and_infrastructure_are_read() {
    let matrix = "jobs:\n  a:\n    strategy:\n      matrix:\n        py: ['3.10', '3.11']\n    steps:\n      - with:\n          python-version: ${{ matrix.py }}\n";
    let image = |version: &str| format!("ARG V={version}\nFROM python:${{V}}-slim\n");
    let (other, same) = (image("3.14"), image("3.11"));
    let workflow = (".github/workflows/a.yml", matrix);
    let found = [
        "runtime-versions-differ .github/workflows/a.yml:5",
        "runtime-versions-differ Dockerfile:2",
    ];
    assert_eq!(lines_of(&VERSIONS, &[("Dockerfile", &*other), workflow]), found);
    assert!(lines_of(&VERSIONS, &[("Dockerfile", &*same), workflow]).is_empty());
    let compose = ("compose.yaml", "services:\n  db:\n    image: postgres:17\n");
    for (path, text, line) in [
        (
            "db.tf",
            "resource \"aws_db_instance\" \"a\" {\n  engine = \"postgres\"\n  engine_version = \"13.4\"\n}\n",
            3,
        ),
        (
            "db.tf",
            "resource \"google_sql_database_instance\" \"a\" {\n  database_version = \"POSTGRES_13\"\n}\n",
            2,
        ),
        (
            "db.bicep",
            "resource a 'Microsoft.DBforPostgreSQL/flexibleServers@2022-12-01' = {\n  properties: {\n    version: '13'\n",
            3,
        ),
    ] {
        let found = lines_of(&VERSIONS, &[compose, (path, text)]);
        assert!(found.contains(&format!("service-versions-differ {path}:{line}")), "{found:?}");
    }
    let provider =
        "terraform {\n  required_providers {\n    postgresql = {\n      version = \"1.2\"\n";
    assert!(lines_of(&VERSIONS, &[compose, ("main.tf", provider)]).is_empty());
}

#[test]
fn a_build_leaves_the_database_alone() {
    let rules = ["build-migrates"];
    let render = "services:\n  - type: web\n    name: a\n    buildCommand: ./build.sh\n    startCommand: gunicorn app:app\n";
    let files = [("render.yaml", render), ("build.sh", "#!/bin/sh\nflask db upgrade\n")];
    assert_eq!(lines_of(&rules, &files), ["build-migrates build.sh:2"]);
    let package = "{\"scripts\": {\n\"build\": \"prisma generate && tsc\",\n\"heroku-postbuild\": \"prisma migrate deploy\"}}";
    assert_eq!(lines_of(&rules, &[("package.json", package)]), ["build-migrates package.json:3"]);
    let image =
        "FROM python:3.14\nRUN python manage.py collectstatic && \\\n  python manage.py migrate\n";
    assert_eq!(lines_of(&rules, &[("Dockerfile", image)]), ["build-migrates Dockerfile:3"]);
}

#[test]
fn a_compose_file_that_says_all_comes_on_top_of_none() {
    let rules = ["run-mounts-source", "run-reloads"];
    let code = ("app.py", "import flask\n");
    let list = ("requirements.txt", "flask==3.0\ngunicorn==23.0\n");
    let base = "services:\n  web:\n    build: .\n    command: flask run --debug\n    volumes:\n      - .:/code\n";
    let files = |production| {
        let image = ("Dockerfile", "FROM python:3.14\nCMD [\"gunicorn\", \"app:app\"]\n");
        [code, list, image, ("compose.yaml", base), ("compose.prod.yaml", production)]
    };
    let whole = "services:\n  web:\n    build: .\n    command: gunicorn app:app\n";
    assert!(lines_of(&rules, &files(whole)).is_empty());
    let part = "services:\n  web:\n    command: gunicorn app:app\n";
    assert_eq!(lines_of(&rules, &files(part)), ["run-mounts-source compose.yaml:6"]);
}

#[test]
fn both_engines_are_named_where_they_differ() {
    let settings = "import dj_database_url\nif LIVE:\n    DATABASES = {\n        'default': dj_database_url.config(),\n    }\nelse:\n    DATABASES = {\n        'default': {\n            'ENGINE': 'django.db.backends.sqlite3',\n        },\n    }\n";
    let list = ("requirements.txt", "django==5.0\npsycopg==3.1\n");
    let files = [list, ("manage.py", "import shop.settings\n"), ("shop/settings.py", settings)];
    let found = [2, 4, 9].map(|line| format!("engines-differ shop/settings.py:{line}"));
    assert_eq!(lines_of(&["engines-differ"], &files), found);
    let config = "{\"development\": {\n\"dialect\": \"sqlite\"},\n\"production\": {\n\"dialect\": \"postgres\"}}";
    let found = [2, 4].map(|line| format!("engines-differ config/config.json:{line}"));
    assert_eq!(lines_of(&["engines-differ"], &[("config/config.json", config)]), found);
    // What compose starts is there for the sake of production, and so is its driver.
    let settings = "DATABASES = {\n    'default': {\n        'ENGINE': 'django.db.backends.sqlite3',\n    },\n}\n";
    let compose = ("compose.yaml", "services:\n  db:\n    image: postgres:17\n");
    let entry = ("manage.py", "import shop.settings\n");
    let files = [list, entry, ("shop/settings.py", settings), compose];
    let found = ["engines-differ compose.yaml:3", "engines-differ shop/settings.py:3"];
    assert_eq!(lines_of(&["engines-differ"], &files), found);
    let package = "{\"dependencies\": {\n\"pg\": \"8\"}}";
    let files = [("package.json", package), ("config/default.yml", "db:\n  client: sqlite3\n")];
    let found = ["engines-differ config/default.yml:2", "engines-differ package.json:2"];
    assert_eq!(lines_of(&["engines-differ"], &files), found);
}

#[test]
fn what_git_is_told_to_keep_is_not_ignored() {
    let manifest = ("Cargo.toml", "[package]\nname = \"a\"\n[dependencies]\naxum = \"0.8\"\n");
    let rules = |ignored: &str| -> Vec<String> {
        let found = judge_texts(&[manifest, (".gitignore", ignored)]).findings.into_iter();
        found.map(|found| found.rule).filter(|rule| rule.starts_with("lock-")).collect()
    };
    assert_eq!(rules("*.lock\n"), ["lock-ignored"]);
    assert_eq!(rules("*.lock\n!Cargo.lock\n"), ["lock-missing"]);
    assert_eq!(rules("!Cargo.lock\n*.lock\n"), ["lock-ignored"]);
}

#[test]
fn the_exit_code_follows_the_verdict_that_is_asked_for() {
    let place = Place::new();
    place.write("Cargo.toml", "[package]\nname = \"a\"\n[dependencies]\naxum = \"0.8\"\n");
    place.write(
        "src/main.rs",
        "fn main() { env::var(\"PORT\"); axum::serve(a, b).with_graceful_shutdown(c); }",
    );
    place.write(".gitignore", "Cargo.lock\n");
    place.run(["check"]).expect(0);
    place.run(["check", "--fail-on", "partly"]).expect(1).prints(&["Cargo.lock is git-ignored"]);
    place.run(["check", "--factor", "weather"]).expect(2).says(&["there is no factor"]);
    place.run(["check", "nowhere"]).expect(2).says(&["nowhere"]);
    place.run(["check", "--json", "--format", "sarif"]).expect(2);
    let text = place.run(["check", "--output", "report.txt", "--fail-on", "partly"]).expect(1);
    assert_eq!(text.out, "");
    assert!(fs::read_to_string(place.path("report.txt")).unwrap().contains("dependencies"));
}

#[test]
fn what_is_allowed_needs_a_reason() {
    let text = |comment: &str| format!("{comment}\nSECRET_KEY = 'abcdefgh'\n");
    let rule = "secret-literal";
    let named = |report: &Report| report.findings.iter().any(|found| found.rule == rule);
    let with = |comment: &str| {
        judge_texts(&[("requirements.txt", "flask==3.0.0\n"), ("app.py", &text(comment))])
    };
    assert!(named(&with("# nothing")));
    let allowed = with("# dozen: allow(secret-literal) only for the tour");
    assert!(!named(&allowed) && allowed.notes.is_empty(), "{:?}", allowed.notes);
    assert_eq!(allowed.allowed[0].reason, "only for the tour");
    let reasonless = with("# dozen: allow(secret-literal)");
    assert!(named(&reasonless) && reasonless.notes[0].message.contains("no reason"));
    let unused = with("# dozen: allow(log-file) why not");
    assert!(named(&unused) && unused.notes[0].message.contains("allows nothing"));
}

#[test]
fn a_baseline_lets_be_what_was_there_and_no_more() {
    let place = Place::new();
    place.write("requirements.txt", "flask==3.0.0\n");
    place.write("app.py", "SECRET_KEY = 'abcdefgh'\n");
    place.run(["check", "--factor", "config"]).expect(1);
    place.run(["check", "--write-baseline", "--factor", "config"]).expect(0).prints(&["reason"]);
    place.run(["check", "--factor", "config"]).expect(0).prints(&["without a reason"]);
    place.write("app.py", "\n\nSECRET_KEY = 'abcdefgh'\n");
    place.run(["check", "--factor", "config"]).expect(0);
    place.write("app.py", "SECRET_KEY = 'abcdefgh'\nJWT_SECRET = 'abcdefgh'\n");
    place.run(["check", "--factor", "config"]).expect(1);
    place.write("app.py", "pass\n");
    place.run(["check", "--factor", "config"]).expect(0).prints(&["is not found any more"]);
    place.write(".dozen-check.toml", "allow = 3");
    place.run(["check"]).expect(2).says(&[".dozen-check.toml"]);
}

#[test]
fn a_broken_tree_is_read_for_what_it_gives() {
    let place = Place::new();
    place.write("package.json", "{ \"name\": ");
    place.write("Cargo.toml", "[package\nname");
    place.write("pyproject.toml", [0xff, 0xfe, b'a']);
    place.write("compose.yaml", "a: [b\n c: }");
    place.write("docker-compose.yml", "a: &a [*a, *b]\n<<: *a\n");
    place.write("app.py", b"SECRET_KEY = 'abc\xffdefgh'\n");
    place.write("deep.js", "[".repeat(100_000));
    place.write("deep.json", "[".repeat(100_000));
    place.write("config/deep.yaml", "- ".repeat(10_000));
    place.write("binary.py", b"\0\0\0\0");
    place.write("Dockerfile", "FROM a\nRUN <<EOF\nnever ends\nCMD [\"a\" \\");
    place.write("Procfile", "web:\n: a\nweb: \u{1b}[31m\n");
    place.write(".gitmodules", "[submodule \"a\"]\n\tpath = sub\n");
    place.write("sub/app.py", "SECRET_KEY = 'abcdefgh'\n");
    place.write(".github/workflows/a.yml", "jobs: 3\n");
    let large = fs::File::create(place.path("large.py")).unwrap();
    large.set_len(200 << 20).unwrap();
    symlink("..", place.path("loop")).unwrap();
    symlink("nowhere", place.path("dangling.py")).unwrap();
    let run = place.run(["check", "--json", "--fail-on", "never"]).expect(0);
    let report = run.json();
    let unread: BTreeSet<_> = report["unread"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unread| unread["path"].as_str().unwrap())
        .collect();
    for path in [
        "package.json",
        "Cargo.toml",
        "deep.js",
        "deep.json",
        "binary.py",
        "large.py",
        "sub",
        "app.py",
    ] {
        assert!(unread.contains(path), "{path} is not named: {unread:?}");
    }
    let text = place.run(["check", "--fail-on", "never"]).expect(0);
    assert!(!text.out.contains('\u{1b}'));
}

#[test]
fn a_folder_with_nothing_in_it_can_be_checked() {
    let place = Place::new();
    let run = place.run(["check", "--json"]).expect(0);
    let report = run.json();
    let verdicts =
        report["factors"].as_array().unwrap().iter().map(|said| said["verdict"].as_str().unwrap());
    assert!(verdicts.into_iter().all(|verdict| verdict == "not determinable"), "{}", run.out);
    place.git(".", &["init", "--quiet"]);
    place.run(["check"]).expect(0);
}

#[test]
fn what_git_tracks_counts_though_it_would_ignore_it() {
    let place = Place::new();
    place.git(".", &["init", "--quiet"]);
    place.write(".gitignore", ".env\n");
    place.write("requirements.txt", "flask==3.0.0\n");
    place.write("app.py", "import os\nos.environ['A']\n");
    place.write(".env", "SECRET_KEY=abcdefgh\n");
    place.git(".", &["add", "app.py", "requirements.txt", ".gitignore"]);
    assert!(!place.run(["check", "--fail-on", "never"]).out.contains("env-file"));
    place.git(".", &["add", "--force", ".env"]);
    assert!(place.run(["check", "--fail-on", "never"]).out.contains("env-file-secret"));
}

#[test]
fn a_rule_can_be_explained() {
    let place = Place::new();
    place.ok(["explain", "secret-literal"]).prints(&["What it breaks", "Finds", "SECRET_KEY"]);
    place.run(["explain", "secret-litteral"]).expect(2).says(&["did you mean `secret-literal`"]);
}

#[test]
fn a_line_of_a_comment_a_test_or_a_vendored_file_is_no_finding() {
    let report = judge_texts(&[
        ("Cargo.toml", "[package]\nname = \"a\"\n[dependencies]\naxum = \"0.8\"\n"),
        (
            "src/main.rs",
            "// const SECRET: &str = \"abcdefgh\";\nfn main() {}\n#[cfg(test)]\nmod tests {\n const SECRET: &str = \"abcdefgh\";\n}\n",
        ),
        ("tests/a.rs", "const SECRET: &str = \"abcdefgh\";"),
        ("node_modules/a/index.js", "const SECRET = 'abcdefgh'"),
        ("examples/a.py", "SECRET_KEY = 'abcdefgh'"),
    ]);
    let secrets: Vec<_> =
        report.findings.iter().filter(|found| found.rule.contains("secret")).collect();
    assert!(secrets.is_empty(), "{secrets:?}");
}

const NAMES: [&str; 22] = [
    "package.json",
    "Cargo.toml",
    "pyproject.toml",
    "requirements.txt",
    "Pipfile",
    "Procfile",
    "Dockerfile",
    "docker-compose.yml",
    "compose.prod.yaml",
    "fly.toml",
    "app.yaml",
    "render.yaml",
    "app.json",
    "heroku.yml",
    ".env",
    ".gitignore",
    ".gitmodules",
    ".github/workflows/a.yml",
    "a.py",
    "a.ts",
    "src/main.rs",
    "schema.prisma",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_bytes_make_it_panic(files in prop::collection::vec((0..NAMES.len(), prop::collection::vec(any::<u8>(), 0..200)), 1..6)) {
        judge(files.into_iter().map(|(at, bytes)| (NAMES[at].to_owned(), bytes)));
    }

    #[test]
    fn no_text_makes_it_panic(files in prop::collection::vec((0..NAMES.len(), "[\\PC\\n\"'{}\\[\\]:=$#,<>*&|-]{0,200}"), 1..6)) {
        judge(files.into_iter().map(|(at, text)| (NAMES[at].to_owned(), text.into_bytes())));
    }
}
