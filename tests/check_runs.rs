//! What `dozen check` finds to be run, through everything that a command goes through.

#![allow(clippy::unwrap_used)]

use dozen::check::facts::Facts;
use dozen::check::facts::run::Role;
use dozen::check::sources::Sources;
use dozen::tree::{Content, RepoPath, Tree};

fn facts(files: &[(&str, &str)]) -> Facts {
    let files = files.iter().map(|(path, text)| {
        let content = Content { bytes: text.as_bytes().to_vec(), executable: false };
        (RepoPath::parse(path).unwrap(), content)
    });
    Facts::read(&Sources::take(Tree::from_files(files), None), &mut Vec::new())
}

/// The commands that serve, each with its place.
fn served(files: &[(&str, &str)]) -> Vec<String> {
    let facts = facts(files);
    let steps = facts.servers().into_iter().flat_map(|run| run.steps.clone());
    let told = |place: &dozen::check::finding::Place| format!("{}:{}", place.path, place.line);
    steps.map(|step| format!("{} {}", told(&step.place), step.text)).collect()
}

#[test]
fn a_script_is_found_by_the_path_that_the_image_copies_it_to() {
    let image = "FROM python:3.13\nCOPY ./docker/production/start /start\nCOPY docker/production/entrypoint /entrypoint\nENTRYPOINT [\"/entrypoint\"]\nCMD [\"/start\"]\n";
    let found = served(&[
        ("Dockerfile", image),
        ("docker/local/start", "#!/bin/sh\npython manage.py runserver\n"),
        ("docker/production/start", "#!/bin/bash\nset -e\nexec gunicorn shop.wsgi\n"),
        ("docker/production/entrypoint", "#!/bin/bash\npython manage.py migrate\nexec \"$@\"\n"),
    ]);
    let expected = [
        "docker/production/entrypoint:2 python manage.py migrate",
        "docker/production/start:3 exec gunicorn shop.wsgi",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_command_of_compose_comes_after_the_entry_point_of_the_image() {
    let found = served(&[
        (
            "Dockerfile",
            "FROM node:24\nCOPY . .\nENTRYPOINT [\"./entry.sh\"]\nCMD [\"node\", \"a.js\"]\n",
        ),
        ("entry.sh", "#!/bin/sh\nnpx prisma migrate deploy\nexec \"$@\"\n"),
        ("compose.yaml", "services:\n  web:\n    build: .\n    command: node b.js\n"),
    ]);
    let expected = [
        "entry.sh:2 npx prisma migrate deploy",
        "compose.yaml:4 exec node b.js",
        "entry.sh:2 npx prisma migrate deploy",
        "Dockerfile:4 exec node a.js",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_stage_starts_what_the_stage_below_it_does() {
    let image = "FROM python:3.13 AS base\nCMD [\"gunicorn\", \"shop:app\"]\nFROM base AS production\nCOPY . .\n";
    assert_eq!(served(&[("Dockerfile", image)]), ["Dockerfile:2 gunicorn shop:app"]);
}

#[test]
fn a_base_image_that_serves_runs_the_script_before() {
    let image =
        ("api/Dockerfile", "FROM tiangolo/uvicorn-gunicorn-fastapi:python3.11\nCOPY . /app\n");
    let before = ("api/prestart.sh", "#! /usr/bin/env bash\nalembic upgrade head\n");
    let server = "api/Dockerfile:1 gunicorn -k uvicorn.workers.UvicornWorker app.main:app";
    assert_eq!(served(&[image, before]), ["api/prestart.sh:2 alembic upgrade head", server]);
    assert_eq!(served(&[image]), [server]);
}

#[test]
fn what_npm_runs_before_start_is_run() {
    let package = "{\n\"dependencies\": {\"express\": \"5\"},\n\"scripts\": {\n\"prestart\": \"npm run build\",\n\"start\": \"node a.js\",\n\"server\": \"nodemon a.js\"\n}}";
    let found = served(&[("package.json", package)]);
    assert_eq!(found, ["package.json:4 npm run build", "package.json:5 node a.js"]);
}

#[test]
fn branches_for_development_are_left_out() {
    let script = "#!/bin/sh\nif [ \"$APP_ENV\" = \"development\" ]; then\n  python manage.py migrate\n  python manage.py runserver\nelse\n  exec gunicorn shop.wsgi \\\n    --bind 0.0.0.0:8000\nfi\n";
    let found = served(&[("start.sh", script), ("Procfile", "web: sh start.sh\n")]);
    assert_eq!(found, ["start.sh:6 exec gunicorn shop.wsgi --bind 0.0.0.0:8000"]);
}

#[test]
fn a_script_that_is_told_what_to_start_starts_that() {
    let script = "#!/bin/sh\ncase \"$1\" in\n  web)\n    exec gunicorn shop.wsgi\n    ;;\n  worker)\n    exec celery -A shop worker\n    ;;\nesac\n";
    let image = "FROM python:3.13\nENTRYPOINT [\"./run.sh\"]\nCMD [\"web\"]\n";
    let found = served(&[("run.sh", script), ("Dockerfile", image)]);
    assert_eq!(found, ["run.sh:4 exec gunicorn shop.wsgi"]);
}

#[test]
fn where_nothing_else_says_it_a_makefile_or_a_script_at_the_root_does() {
    let makefile = "migrate:\n\tsqlx migrate run\n\nstart-server:\n\tcargo watch -x run\n";
    assert_eq!(served(&[("Makefile", makefile)]), ["Makefile:5 cargo watch -x run"]);
    let script = ("startup.sh", "gunicorn --bind=0.0.0.0 shop:app\n");
    assert_eq!(served(&[script]), ["startup.sh:1 gunicorn --bind=0.0.0.0 shop:app"]);
    let procfile = ("Procfile", "web: uvicorn shop:app\n");
    assert_eq!(served(&[script, procfile]), ["Procfile:1 uvicorn shop:app"]);
}

#[test]
fn what_supervisor_starts_is_run() {
    let text = "[program:shop]\ncommand=/srv/bin/gunicorn -b localhost:8000 shop:app\n\n[program:jobs]\ncommand=rq worker\n";
    let facts = facts(&[("deployment/shop.conf", text)]);
    let roles: Vec<_> = facts.runs.iter().map(|run| (run.name.as_str(), run.role)).collect();
    assert_eq!(roles, [("shop", Role::Web), ("jobs", Role::Worker)]);
}

#[test]
fn a_command_of_the_shell_is_split_where_the_shell_splits_it() {
    let image = "FROM python:3.13\nCMD bash -c \"alembic upgrade head && uvicorn 'shop:app; x' --port $PORT\"\n";
    let found = served(&[("Dockerfile", image)]);
    let expected =
        ["Dockerfile:2 alembic upgrade head", "Dockerfile:2 uvicorn 'shop:app; x' --port $PORT"];
    assert_eq!(found, expected);
    let waiting = ("Procfile", "web: ./wait-for-it.sh db:5432 -- ./start.sh\n");
    let scripts = [
        ("wait-for-it.sh", "#!/bin/sh\nexit 1\n"),
        ("start.sh", "#!/bin/sh\nexec uvicorn shop:app\n"),
    ];
    assert_eq!(served(&[waiting, scripts[0], scripts[1]]), ["start.sh:2 exec uvicorn shop:app"]);
}

#[test]
fn the_app_engine_starts_what_its_file_names() {
    let file = ("app.yaml", "runtime: python312\nentrypoint: gunicorn -b :$PORT shop:app\n");
    assert_eq!(served(&[file]), ["app.yaml:2 gunicorn -b :$PORT shop:app"]);
}

#[test]
fn infrastructure_says_what_is_started_and_an_editor_does_not() {
    let editor = (
        ".devcontainer/docker-compose.yml",
        "services:\n  app:\n    build: .\n    command: sleep infinity\n",
    );
    let script = ("startup.sh", "flask db upgrade\ngunicorn --bind=0.0.0.0:8000 shop:app\n");
    let expected =
        ["startup.sh:1 flask db upgrade", "startup.sh:2 gunicorn --bind=0.0.0.0:8000 shop:app"];
    for (path, line) in [
        ("infra/main.bicep", "      appCommandLine: 'startup.sh'\n"),
        ("infra/web.tf", "    app_command_line = \"bash startup.sh\"\n"),
        ("README", ""),
    ] {
        assert_eq!(served(&[editor, script, (path, line)]), expected, "{path}");
    }
    let options = "option_settings:\n  aws:elasticbeanstalk:container:python:\n    WSGIPath: shop.wsgi:application\n";
    assert_eq!(
        served(&[(".ebextensions/shop.config", options)]),
        [".ebextensions/shop.config:3 gunicorn shop.wsgi:application"]
    );
    let unit = "[Service]\nExecStart=/srv/venv/bin/gunicorn shop:app\n";
    assert_eq!(
        served(&[("deploy/shop.service", unit)]),
        ["deploy/shop.service:2 /srv/venv/bin/gunicorn shop:app"]
    );
}

#[test]
fn an_image_to_develop_with_is_not_what_production_starts() {
    let found = served(&[
        (
            "docker-compose.yml",
            "services:\n  web:\n    build: ./app\n    volumes: ['./app:/srv']\n",
        ),
        (
            "docker-compose.prod.yml",
            "services:\n  web:\n    build: {context: ./app, dockerfile: Dockerfile.prod}\n    command: gunicorn shop.wsgi\n",
        ),
        ("app/Dockerfile", "FROM python:3.13\nENTRYPOINT [\"./entrypoint.sh\"]\n"),
        ("app/entrypoint.sh", "#!/bin/sh\npython manage.py flush\nexec \"$@\"\n"),
        ("app/Dockerfile.prod", "FROM python:3.13\n"),
        ("app/shop.py", ""),
    ]);
    assert_eq!(found, ["docker-compose.prod.yml:4 gunicorn shop.wsgi"]);
}

#[test]
fn a_package_of_a_workspace_is_found_by_its_name() {
    let api = (
        "packages/api/package.json",
        "{\"dependencies\": {\"koa\": \"3\"}, \"scripts\": {\"start\": \"node api.js\"}}",
    );
    let site = (
        "packages/site/package.json",
        "{\"dependencies\": {\"express\": \"5\"}, \"scripts\": {\"start\": \"node site.js\"}}",
    );
    for command in [
        "npm start -w site",
        "npm run start --workspace=site",
        "yarn workspace @shop/site start",
        "pnpm --filter @shop/site start",
    ] {
        let procfile = format!("web: {command}\n");
        let found = served(&[api, site, ("Procfile", &procfile)]);
        assert_eq!(found, ["packages/site/package.json:1 node site.js"], "{command}");
    }
}

#[test]
fn a_build_is_followed_through_its_script() {
    let facts = facts(&[
        ("render.yaml", "services:\n  - type: web\n    buildCommand: ./build.sh\n"),
        ("build.sh", "#!/bin/sh\npip install -r requirements.txt\npython manage.py migrate\n"),
    ]);
    let steps: Vec<_> = facts.builds.iter().flat_map(|run| &run.steps).collect();
    assert!(steps.iter().any(|step| {
        step.place.path.as_str() == "build.sh" && step.text == "python manage.py migrate"
    }));
    assert!(facts.runs.is_empty());
}

#[test]
fn what_loads_a_folder_reaches_what_stands_in_it() {
    let package = (
        "package.json",
        "{\"dependencies\": {\"fastify\": \"5\"}, \"scripts\": {\"start\": \"node server.js\"}}",
    );
    for text in [
        "app.register(autoload, { dir: join(import.meta.url, 'routes') })\n",
        "glob.sync('./routes/**/*.js').forEach((file) => require(file))\n",
        "fs.readdirSync('./routes').forEach((name) => require('./routes/' + name))\n",
    ] {
        let facts =
            facts(&[package, ("server.js", text), ("routes/shop.js", ""), ("other.js", "")]);
        let served: Vec<_> = facts.reach.served().map(ToString::to_string).collect();
        assert_eq!(served, ["routes/shop.js", "server.js"], "{text}");
    }
}
