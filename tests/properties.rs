//! What holds for every stack, every combination of answers, and repositories that others wrote.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use dozen::answers::question::Question;
use dozen::answers::{Draft, Source};
use dozen::factor::Factor;
use dozen::plan::{self, Plan};
use dozen::service::{Service, detect};
use dozen::templates::{self, Kind, Rendered};
use dozen::tree::{Content, RepoPath, Tree};
use proptest::prelude::*;
use support::*;

const ROOT: &str = "/nowhere/shop";

type Files = BTreeMap<String, Vec<u8>>;

// Rendering and adding, in memory

fn combinations() -> Vec<Vec<(String, String)>> {
    list_combinations(&Place::new())
}

fn service(name: &str, combination: &[(String, String)]) -> Service {
    let mut draft = Draft::new(Question::all().unwrap());
    draft.offer("name", name, Source::Default).unwrap();
    for (key, value) in combination {
        draft.offer(key, value, Source::Default).unwrap();
    }
    Service::from_answers(&draft.complete().unwrap()).unwrap()
}

fn render(service: &Service) -> Vec<Rendered> {
    templates::render(&templates::find_all(&service.stack), service).unwrap()
}

/// The repository that `new` makes.
fn make_new(service: &Service) -> Files {
    let plan = plan::plan(ROOT.into(), &Tree::default(), Vec::new(), render(service));
    assert_eq!(plan.conflicts, []);
    plan.changes.into_iter().map(|one| (one.path.to_string(), one.after.unwrap().bytes)).collect()
}

fn tree(files: &Files) -> Tree {
    Tree::from_files(files.iter().map(|(path, bytes)| {
        let executable = bytes.starts_with(b"#!");
        (RepoPath::parse(path).unwrap(), Content { bytes: bytes.clone(), executable })
    }))
}

/// What `add` plans.
fn plan_to_add(files: &Files, factors: &[Factor]) -> Plan {
    let tree = tree(files);
    let service = detect::detect(&tree, Path::new(ROOT), None).unwrap();
    lay(&tree, &service, factors)
}

fn lay(tree: &Tree, service: &Service, factors: &[Factor]) -> Plan {
    let layers: Vec<_> =
        factors.iter().flat_map(|factor| templates::find_layer(&service.stack, *factor)).collect();
    plan::plan(ROOT.into(), tree, Vec::new(), templates::render(&layers, service).unwrap())
}

/// The repository after `add`, as if what is in conflict had not been asked for.
fn add(files: &Files, factors: &[Factor]) -> Files {
    let mut files = files.clone();
    for change in plan_to_add(&files, factors).changes {
        files.insert(change.path.to_string(), change.after.unwrap().bytes);
    }
    files
}

/// Each factor alone, and all twelve.
fn selections() -> Vec<Vec<Factor>> {
    let mut selections: Vec<_> = Factor::ALL.iter().map(|factor| vec![*factor]).collect();
    selections.push(Factor::ALL.to_vec());
    selections
}

// Repositories that others wrote

fn files(entries: &[(&str, &str)]) -> Files {
    entries.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

fn flask() -> Files {
    files(&[
        ("requirements.txt", "flask==3.1\npsycopg2\nredis\n"),
        (
            "app.py",
            "import os\nDB = os.environ[\"DATABASE_URL\"]\nKEY = os.getenv(\"SECRET_KEY\")\n",
        ),
        ("README.md", "# Flask\n"),
        (".gitignore", "*.pyc\n\n# mine\n/instance\n"),
        (".env.example", "# where\nDATABASE_URL=postgres://localhost/app\nFLASK_DEBUG=1\n"),
        ("Procfile", "web: gunicorn app:app --bind 0.0.0.0:$PORT\n"),
    ])
}

fn express() -> Files {
    files(&[
        (
            "package.json",
            "{\n  \"name\": \"Shop.Web\",\n  \"scripts\": { \"start\": \"node server.js\" },\n  \
             \"dependencies\": { \"express\": \"^5.0.0\", \"pg\": \"^8\" }\n}\n",
        ),
        ("server.js", "const port = process.env.PORT;\nrequire('express')().listen(port);\n"),
        (".gitignore", "node_modules\n.env\n"),
        (".env.sample", "PORT=3000\n"),
        ("docker-compose.yml", "services:\n  db:\n    image: postgres:16 # ours\n"),
    ])
}

fn django() -> Files {
    files(&[
        ("requirements.txt", "Django==5.2\npsycopg[binary]==3.2\ncelery[redis]\n"),
        (
            "manage.py",
            "import os\n\nos.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", \"shop.settings\")\n",
        ),
        (
            "shop/settings.py",
            "DATABASES = {\"default\": env.db_url(\"DATABASE_URL\")}\nDEBUG = env.bool('DEBUG', False)\n\
             SECRET_KEY = env(\"SECRET_KEY\")\nREDIS = config(\"REDIS_URL\", default=\"\")\n\
             SENTRY = os.getenv(\"SENTRY_DSN\")\n",
        ),
        (".gitignore", "*.pyc\nstaticfiles/\n"),
    ])
}

fn axum() -> Files {
    files(&[
        (
            "Cargo.toml",
            "[package]\nname = \"shop-api\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             axum = \"0.8\" # web\nsqlx = { version = \"0.8\", features = [\"postgres\"] }\n",
        ),
        ("src/main.rs", "fn main() {\n    let _ = std::env::var(\"DATABASE_URL\");\n}\n"),
        (".gitignore", "/target\n"),
        ("Procfile", "web: ./target/release/shop-api\n"),
    ])
}

/// Those whose stack this build knows: all of them, once it has all stacks.
fn strangers() -> Vec<(&'static str, Files)> {
    let known: Vec<_> =
        [("flask", flask()), ("django", django()), ("express", express()), ("axum", axum())]
            .into_iter()
            .filter(|(_, files)| detect::find_stack(&tree(files), Path::new(ROOT)).is_ok())
            .collect();
    assert!(!known.is_empty());
    known
}

type Reshape = fn(&str) -> String;

/// The ways in which people's editors leave a file.
const SHAPES: [(&str, Reshape); 7] = [
    ("as it is", str::to_owned),
    ("with CRLF", |text| text.replace('\n', "\r\n")),
    ("with a byte-order mark", |text| format!("\u{feff}{text}")),
    ("without a last newline", |text| text.trim_end_matches('\n').to_owned()),
    ("with CRLF, a mark, and no last newline", |text| {
        format!("\u{feff}{}", text.trim_end_matches('\n').replace('\n', "\r\n"))
    }),
    ("with blank lines at the end", |text| format!("{text}\n\n")),
    ("empty", |_| String::new()),
];

/// The files that get lines, under all their names.
const LINE_FILES: [&str; 4] = [".gitignore", ".env.example", ".env.sample", "Procfile"];

/// Every foreign repository in every shape.
fn list_shaped() -> Vec<(String, Files)> {
    let mut shaped = Vec::new();
    for (name, files) in strangers() {
        for (shape, reshape) in SHAPES {
            let mut files = files.clone();
            for (_, bytes) in
                files.iter_mut().filter(|(path, _)| LINE_FILES.contains(&path.as_str()))
            {
                *bytes = reshape(std::str::from_utf8(bytes).unwrap()).into_bytes();
            }
            shaped.push((format!("{name} {shape}"), files));
        }
    }
    shaped
}

fn show(plan: &Plan) -> String {
    let mut text = String::new();
    for change in &plan.changes {
        let after = String::from_utf8_lossy(&change.after.as_ref().unwrap().bytes);
        let before = change.before.as_ref().map(|content| String::from_utf8_lossy(&content.bytes));
        writeln!(text, "{}: {before:?} -> {after:?}", change.path).unwrap();
    }
    for conflict in &plan.conflicts {
        writeln!(text, "{}: {}", conflict.path, conflict.reason).unwrap();
    }
    text
}

// What a repository is taken for

#[test]
fn django_is_told_from_the_rest_of_python() {
    let stack_of = |files: &Files| detect::find_stack(&tree(files), Path::new(ROOT)).unwrap().slug;
    assert_eq!(stack_of(&flask()), "python");
    assert_eq!(stack_of(&django()), "django");
    let mut without_manage = django();
    without_manage.remove("manage.py");
    assert_eq!(stack_of(&without_manage), "django");
    let mut without_manifest = django();
    without_manifest.remove("requirements.txt");
    assert_eq!(stack_of(&without_manifest), "django");
}

#[test]
fn a_django_repository_is_read() {
    let service = detect::detect(&tree(&django()), Path::new(ROOT), None).unwrap();
    assert_eq!(service.facts.framework.as_deref(), Some("Django"));
    assert_eq!(service.facts.commands.migrate.as_deref(), Some("python manage.py migrate"));
    let engines: Vec<_> = service.facts.backing.iter().map(|one| one.engine.as_str()).collect();
    assert_eq!(engines, ["postgres", "redis"]);
    let variables: Vec<_> = service.variables.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(variables, ["DATABASE_URL", "DEBUG", "REDIS_URL", "SECRET_KEY", "SENTRY_DSN"]);
}

// After `new`

#[test]
fn adding_any_factor_to_a_new_repository_changes_nothing() {
    for combination in combinations() {
        for name in ["shop", "Shop"] {
            let tree = tree(&make_new(&service(name, &combination)));
            let found = detect::detect(&tree, Path::new(ROOT), None).unwrap();
            // One name will do for each alone: a factor that has a form of it wrong shows in all twelve.
            let each = if name == "shop" { selections() } else { vec![Factor::ALL.to_vec()] };
            for factors in each {
                let plan = lay(&tree, &found, &factors);
                assert!(plan.is_empty(), "{name} {combination:?} {factors:?}: {}", show(&plan));
            }
        }
    }
}

#[test]
fn adding_any_factor_to_a_new_repository_on_disk_changes_nothing() {
    let place = Place::new();
    let factors = list_factors(&place);
    let stacks: BTreeSet<_> =
        combinations().into_iter().map(|combination| combination[0].1.clone()).collect();
    for stack in stacks {
        place.ok(["new", "shop", "--stack", &stack, "--yes", "--into", &stack]);
        let before = snapshot(&place.path(&stack));
        let mut all = vec!["add", "--path", &stack];
        all.extend(factors.iter().map(String::as_str));
        let run = place.ok(&all);
        assert!(run.out.contains("Nothing to add"), "{run:#?}");
        for factor in &factors {
            let report = place.ok(["add", factor, "--path", &stack, "--json"]).json();
            assert_eq!(report["changes"], serde_json::json!([]), "{stack} {factor}");
            assert_eq!(report["conflicts"], serde_json::json!([]), "{stack} {factor}");
        }
        assert_eq!(snapshot(&place.path(&stack)), before);
        assert_eq!(place.git(&stack, &["status", "--porcelain"]), "");
    }
}

// Templates

#[test]
fn no_path_has_two_owners() {
    for combination in combinations() {
        let rendered = render(&service("shop", &combination));
        assert_eq!(plan::find_owned_twice(&rendered), BTreeSet::new(), "{combination:?}");
        // Nor one that owns and one that adds to it: what is owned could not be added to later.
        for owned in rendered.iter().filter(|one| one.kind == Kind::Own) {
            let others = rendered.iter().filter(|other| other.path == owned.path).count();
            assert_eq!(others, 1, "{combination:?}: {}", owned.path);
        }
    }
}

#[test]
fn what_is_rendered_is_clean_for_every_name() {
    let longest = format!("a{}-9", "bcd".repeat(12) + "e");
    assert_eq!(longest.len(), 40);
    for combination in combinations() {
        for name in ["shop", "my-shop-2", "Shop", "shop_api", &longest] {
            for one in render(&service(name, &combination)) {
                let about = format!("{} of {name} {combination:?}", one.path);
                for leftover in ["[=", "<%", "<#", "__slug__"] {
                    assert!(!one.text.contains(leftover), "{about}: {leftover}");
                }
                // In a text, `__package__` may be Python's own.
                for leftover in ["__package__", "__slug__"] {
                    assert!(!one.path.as_str().contains(leftover), "{about}: {leftover}");
                }
                assert!(!one.path.as_str().contains('='), "{about}");
                for line in one.text.lines() {
                    assert_eq!(line, line.trim_end(), "{about}: blanks at the end");
                }
                assert!(
                    one.text.is_empty() || one.text.ends_with('\n'),
                    "{about}: no last newline"
                );
                assert!(!one.text.ends_with("\n\n"), "{about}: blank lines at the end");
                assert!(!one.text.starts_with('\n'), "{about}: blank lines at the start");
                assert!(!one.text.contains('\r'), "{about}");
            }
        }
    }
}

#[test]
fn the_same_answers_give_the_same_bytes() {
    for combination in combinations() {
        let first = render(&service("shop", &combination));
        for _ in 0..3 {
            assert_eq!(render(&service("shop", &combination)), first, "{combination:?}");
        }
    }
}

#[test]
fn every_list_of_the_variables_agrees() {
    for combination in combinations() {
        let service = service("shop", &combination);
        let files = make_new(&service);
        let expected: Vec<_> = service.variables.iter().map(|one| one.name.as_str()).collect();
        let example = std::str::from_utf8(&files[".env.example"]).unwrap();
        let listed: Vec<_> = example
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| Some(line.split_once('=')?.0))
            .collect();
        assert_eq!(listed, expected, "{combination:?}");
        let unique: BTreeSet<_> = expected.iter().collect();
        assert_eq!(unique.len(), expected.len(), "{combination:?}: declared twice");
        if let Some(readme) = files.get("README.md") {
            let readme = std::str::from_utf8(readme).unwrap();
            for name in &expected {
                assert!(
                    readme.contains(&format!("`{name}`")),
                    "README.md, {combination:?}: {name}"
                );
            }
        }
        for variable in service.variables.iter().filter(|variable| variable.secret) {
            assert_eq!((&variable.example, &variable.default), (&None, &None), "{variable:?}");
        }
    }
}

#[test]
fn no_secret_is_recorded() {
    for combination in combinations() {
        let service = service("shop", &combination);
        let files = make_new(&service);
        let recorded: toml::Table =
            std::str::from_utf8(&files["dozen.toml"]).unwrap().parse().unwrap();
        let keys: BTreeSet<_> = recorded["answers"].as_table().unwrap().keys().cloned().collect();
        let asked: BTreeSet<_> = Question::all().unwrap().into_iter().map(|one| one.key).collect();
        assert_eq!(keys, asked);
    }
}

// On what others wrote

#[test]
fn a_rust_repository_tells_what_it_is_made_of() {
    let mut files = axum();
    files.insert("Cargo.lock".into(), Vec::new());
    files.insert("rust-toolchain.toml".into(), b"[toolchain]\nchannel = \"1.95.0\"\n".to_vec());
    files.insert(
        "src/settings.rs".into(),
        b"#[arg(long, env = \"REDIS_URL\")]\nlet home = env::var_os(\"HOME\");\n".to_vec(),
    );
    let service = detect::detect(&tree(&files), Path::new(ROOT), None).unwrap();
    assert_eq!((service.stack.as_str(), service.slug.as_str()), ("rust", "shop-api"));
    assert_eq!(service.facts.framework.as_deref(), Some("axum"));
    assert_eq!(service.facts.package_manager.as_deref(), Some("cargo"));
    assert_eq!(service.facts.runtime.unwrap().version, "1.95.0");
    assert_eq!(service.facts.processes[0].command, "./target/release/shop-api");
    assert_eq!(service.options["database"], "postgres");
    let variables: Vec<_> = service.variables.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(variables, ["DATABASE_URL", "REDIS_URL"]);
}

/// What `add` makes of `path` in a repository of somebody else's.
fn add_to(files: &Files, path: &str) -> String {
    let after = add(files, &[Factor::BuildReleaseRun, Factor::DevProdParity]);
    String::from_utf8(after[path].clone()).unwrap()
}

#[test]
fn the_shell_in_the_container_fills_variables_in() {
    let image = add_to(&flask(), "Dockerfile");
    assert!(image.contains("--bind 0.0.0.0:$PORT") && image.contains("ENV PORT="), "{image}");
}

#[test]
fn an_image_says_where_it_does_not_know_what_to_run() {
    let mut silent = flask();
    silent.remove("Procfile");
    assert!(add_to(&silent, "Dockerfile").contains("# CMD "));
    assert!(!add_to(&flask(), "Dockerfile").contains("# CMD "));
}

#[test]
fn the_programs_of_its_packages_are_on_the_path_of_a_node_image() {
    assert!(add_to(&express(), "Dockerfile").contains("PATH=/app/node_modules/.bin:"));
}

#[test]
fn a_rust_program_runs_under_its_own_name_on_a_toolchain_that_there_is() {
    let mut files = axum();
    files.remove("Procfile");
    let manifest = b"[package]\nname = \"shop_api\"\nrust-version = \"1.63\"\n".to_vec();
    files.insert("Cargo.toml".into(), manifest);
    let image = add_to(&files, "Dockerfile");
    assert!(image.contains("CMD [\"shop_api\"]"), "{image}");
    assert!(!image.contains("shop-api\"]") && !image.contains("1.63"), "{image}");
}

#[test]
fn a_procfile_of_a_release_alone_hides_no_web() {
    let mut files = express();
    files.remove("docker-compose.yml");
    files.insert("Procfile".into(), b"release: node migrate.js\n".to_vec());
    let service = detect::detect(&tree(&files), Path::new(ROOT), None).unwrap();
    let names: Vec<_> = service.facts.processes.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["release", "web"]);
}

#[test]
fn adding_twice_is_adding_once() {
    for (name, files) in list_shaped() {
        for factors in selections() {
            let once = add(&files, &factors);
            let again = plan_to_add(&once, &factors);
            assert!(again.changes.is_empty(), "{name} {factors:?}: {}", show(&again));
        }
    }
}

#[test]
fn adding_keeps_every_line_its_endings_and_its_mark() {
    for (name, files) in list_shaped() {
        let after = add(&files, &Factor::ALL);
        for (path, before) in &files {
            assert_kept(&format!("{name}: {path}"), before, &after[path]);
        }
    }
}

/// Fails unless all of `before` stands in `after`, in order, and what came is written as the rest is.
fn assert_kept(about: &str, before: &[u8], after: &[u8]) {
    if before == after {
        return;
    }
    let before = std::str::from_utf8(before).unwrap();
    let after = std::str::from_utf8(after).unwrap();
    let mut rest = after.trim_start_matches('\u{feff}').lines();
    for line in before.trim_start_matches('\u{feff}').lines() {
        assert!(rest.any(|found| found == line), "{about}: `{line}` is gone: {after:?}");
    }
    assert_eq!(after.starts_with('\u{feff}'), before.starts_with('\u{feff}'), "{about}: the mark");
    assert_eq!(after.matches('\u{feff}').count(), before.matches('\u{feff}').count(), "{about}");
    let crlf = before.matches("\r\n").count();
    if crlf > 0 && crlf == before.matches('\n').count() {
        let all = after.matches('\n').count();
        assert_eq!(after.matches("\r\n").count(), all, "{about}: {after:?}");
    } else if crlf == 0 {
        assert!(!after.contains('\r'), "{about}: {after:?}");
    }
}

/// A repository without regard to the order of lines.
fn sort_lines(files: &Files) -> BTreeMap<String, Vec<String>> {
    let sort = |bytes: &Vec<u8>| {
        let mut lines: Vec<_> = String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    files.iter().map(|(path, bytes)| (path.clone(), sort(bytes))).collect()
}

#[test]
fn the_order_of_factors_changes_only_the_order_of_lines() {
    for (name, files) in strangers() {
        let after_one = Factor::ALL.map(|factor| add(&files, &[factor]));
        let add_in_turn = |first: usize, second: usize| {
            sort_lines(&add(&after_one[first], &[Factor::ALL[second]]))
        };
        for first in 0..Factor::ALL.len() {
            for second in 0..first {
                let about = format!("{name}: {}, {}", Factor::ALL[first], Factor::ALL[second]);
                assert_eq!(add_in_turn(first, second), add_in_turn(second, first), "{about}");
            }
        }
    }
    for (name, files) in list_shaped() {
        let add_each = |order: &mut dyn Iterator<Item = Factor>| {
            sort_lines(&order.fold(files.clone(), |files, factor| add(&files, &[factor])))
        };
        let backward = add_each(&mut Factor::ALL.into_iter().rev());
        assert_eq!(add_each(&mut Factor::ALL.into_iter()), backward, "{name}");
    }
}

#[test]
fn adding_drops_no_file_of_the_example_service() {
    for (name, files) in strangers() {
        let tree = tree(&files);
        let stack = detect::find_stack(&tree, Path::new(ROOT)).unwrap().slug;
        let combination = combinations().into_iter().find(|one| one[0].1 == stack).unwrap();
        let rendered =
            templates::render(&templates::find_app(&stack), &service("shop", &combination));
        let app: BTreeSet<_> =
            rendered.unwrap().into_iter().map(|one| one.path.to_string()).collect();
        for path in add(&files, &Factor::ALL).keys().filter(|path| !files.contains_key(*path)) {
            assert!(!app.contains(path), "{name}: {path}");
        }
    }
}

#[test]
fn what_add_shows_is_what_it_does_and_its_diff_applies_with_git() {
    for (name, files) in list_shaped() {
        let place = Place::new();
        for folder in ["planned", "diffed"] {
            for (path, bytes) in &files {
                place.write(Path::new(folder).join(path), bytes);
            }
        }
        let arguments = ["add", "all", "--path", "planned"];
        let shown = place.run(arguments.iter().chain(&["--dry-run", "--diff"]));
        let planned = place.run(arguments.iter().chain(&["--dry-run", "--json"])).json();
        let before = snapshot(&place.path("planned"));
        let done = place.run(arguments.iter().chain(&["--json"])).expect(0).json();
        assert_eq!(planned["changes"], done["changes"], "{name}");
        let after = snapshot(&place.path("planned"));

        let told: BTreeSet<_> = done["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| change["path"].as_str().unwrap().to_owned())
            .collect();
        let changed: BTreeSet<_> = after
            .iter()
            .filter(|(path, node)| node.bytes.is_some() && before.get(*path) != Some(node))
            .map(|(path, _)| path.to_str().unwrap().to_owned())
            .collect();
        assert_eq!(told, changed, "{name}");
        assert!(!told.is_empty(), "{name}");

        place.write("add.diff", &shown.out);
        place.git("diffed", &["init", "--quiet"]);
        place.git("diffed", &["apply", "--whitespace=nowarn", "../add.diff"]);
        assert_eq!(snapshot_files(&place.path("diffed")), after, "{name}");
    }
}

#[test]
fn nothing_is_written_outside_of_the_target() {
    let place = Place::new();
    place.write("beside/file", "mine");
    let outside = || {
        let mut found = snapshot(place.work().parent().unwrap());
        found.retain(|path, _| !path.starts_with("work/shop") && !path.starts_with("work/theirs"));
        found
    };
    for (path, bytes) in flask() {
        place.write(Path::new("theirs").join(path), bytes);
    }
    let before = outside();
    place.ok(["new", "shop", "--stack", "python", "--yes"]);
    place.run(["add", "codebase", "config", "logs", "dev-prod-parity", "--path", "theirs"]);
    place.run(["add", "codebase", "--path", "shop"]);
    place.run(["new", "shop", "--stack", "python", "--yes"]);
    assert_eq!(outside(), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn adding_to_any_lines_is_done_once_and_keeps_them(
        ignored in any_lines("[ #!/*.a-z]{0,8}"),
        example in any_lines("(# ?)?(export )?[A-Z_]{0,4} ?=?[ a-z\"'#$]{0,6}"),
        processes in any_lines("#?[a-z]{0,6} ?:? ?[a-z ]{0,6}"),
    ) {
        let mut files = flask();
        files.insert(".gitignore".into(), ignored.into_bytes());
        files.insert(".env.example".into(), example.into_bytes());
        files.insert("Procfile".into(), processes.into_bytes());
        let once = add(&files, &Factor::ALL);
        for (path, before) in &files {
            assert_kept(path, before, &once[path]);
        }
        let again = plan_to_add(&once, &Factor::ALL);
        prop_assert!(again.changes.is_empty(), "{}", show(&again));
    }
}

/// Text of such lines, with any endings, with or without a mark and a last newline.
fn any_lines(line: &'static str) -> impl Strategy<Value = String> {
    let ending = prop_oneof![Just("\n"), Just("\r\n")];
    let lines = prop::collection::vec((line, ending), 0..6);
    (any::<bool>(), lines, any::<bool>()).prop_map(|(mark, lines, last)| {
        let mut text: String = lines.into_iter().map(|(line, ending)| line + ending).collect();
        if !last {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        if mark { format!("\u{feff}{text}") } else { text }
    })
}
