//! What a user gets: byte for byte with the default answers, as digests with all others.
//! `just bless` writes both anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use dozen::answers::name::Name;
use dozen::answers::question::Question;
use dozen::answers::{Draft, Source};
use dozen::plan;
use dozen::service::Service;
use dozen::stack::Stack;
use dozen::templates;
use dozen::tree::{Entry, RepoPath, Tree};
use sha2::{Digest, Sha256};

const NAME: &str = "shop";

type Files = BTreeMap<String, Vec<u8>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots")
}

fn is_blessing() -> bool {
    std::env::var_os("DOZEN_BLESS").is_some()
}

fn render(stack: &str, options: &[(String, String)]) -> Files {
    render_called(NAME, stack, options)
}

fn render_called(name: &str, stack: &str, options: &[(String, String)]) -> Files {
    let mut draft = Draft::new(Question::all().unwrap());
    draft.offer("name", name, Source::Default).unwrap();
    draft.offer("stack", stack, Source::Default).unwrap();
    for (key, value) in options {
        draft.offer(key, value, Source::Default).unwrap();
    }
    draft.fill_defaults();
    let service = Service::from_answers(&draft.complete().unwrap()).unwrap();
    let rendered = templates::render(&templates::find_all(stack), &service).unwrap();
    let plan = plan::plan(PathBuf::new(), &Tree::default(), Vec::new(), rendered);
    assert_eq!(plan.conflicts, []);
    plan.changes
        .into_iter()
        .map(|change| (change.path.to_string(), change.after.unwrap().bytes))
        .collect()
}

fn read(folder: &Path) -> Files {
    let Ok(tree) = Tree::read(folder) else { return Files::new() };
    let mut files = Files::new();
    let mut open = vec![folder.to_owned()];
    while let Some(current) = open.pop() {
        for entry in fs::read_dir(&current).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
                continue;
            }
            let path = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            if let Some(Entry::File(content)) = tree.get(&RepoPath::parse(&path).unwrap()) {
                files.insert(path, content.bytes.clone());
            }
        }
    }
    files
}

/// Every combination of choices, the defaults among them.
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

fn digest(files: &Files) -> String {
    let mut hasher = Sha256::new();
    for (path, bytes) in files {
        hasher.update(format!("{path}\0{}\0", bytes.len()));
        hasher.update(bytes);
    }
    hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn the_default_answers_render_what_stands_in_snapshots() {
    for stack in Stack::all().unwrap() {
        let home = folder().join(&stack.slug);
        let rendered = render(&stack.slug, &[]);
        if is_blessing() {
            let _ = fs::remove_dir_all(&home);
            for (path, bytes) in &rendered {
                let path = home.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        let kept = read(&home);
        let changed: Vec<_> = rendered
            .keys()
            .chain(kept.keys())
            .filter(|path| rendered.get(*path) != kept.get(*path))
            .collect();
        assert!(changed.is_empty(), "{}: {changed:?}; `just bless`, and read the diff", stack.slug);
    }
}

#[test]
fn every_other_combination_renders_what_its_digest_says() {
    let mut lines = String::new();
    for stack in Stack::all().unwrap() {
        for options in combinations() {
            let choices: Vec<_> = options.iter().map(|(_, value)| value.as_str()).collect();
            let digest = digest(&render(&stack.slug, &options));
            writeln!(lines, "{digest}  {} {}", stack.slug, choices.join(" ")).unwrap();
        }
    }
    let path = folder().join("digests.txt");
    if is_blessing() {
        fs::write(&path, &lines).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap_or_default(), lines, "`just bless`");
}

/// The packages that a lock file names; none, if the file is no lock.
fn locked_packages(path: &str, bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    if path == "package-lock.json" {
        let lock: serde_json::Value = serde_json::from_str(&text).unwrap();
        let places = lock["packages"].as_object().unwrap().keys();
        return places
            .filter_map(|place| Some(place.rsplit_once("node_modules/")?.1.to_owned()))
            .collect();
    }
    if Path::new(path).extension().is_none_or(|end| end != "lock") {
        return Vec::new();
    }
    let lock: toml::Table = text.parse().unwrap();
    let packages = lock["package"].as_array().unwrap().iter();
    packages.map(|package| package["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn no_service_is_called_like_a_package_of_its_lock_file() {
    for stack in Stack::all().unwrap() {
        let reserved = stack.reserved().unwrap();
        let mut packages = 0;
        for (path, bytes) in render(&stack.slug, &[]) {
            for name in locked_packages(&path, &bytes) {
                packages += 1;
                let taken = name != NAME && Name::parse(&name, &reserved).is_ok();
                assert!(!taken, "{path} has {name}: reserve it in {}/reserved.toml", stack.slug);
            }
        }
        assert!(packages > 0, "{} renders no lock file that is understood", stack.slug);
    }
}

/// What answers may change: files that say what runs a service and on what. All others are its code, which is
/// linted, typed and tested the same whatever was answered.
const ANSWERED: [&str; 12] = [
    ".env.example",
    ".github/",
    ".gitlab-ci.yml",
    "README.md",
    "app.json",
    "compose.override.yaml",
    "compose.production.yaml",
    "compose.yaml",
    "deploy/",
    "dozen.toml",
    "renovate.json",
    "Makefile",
];

#[test]
fn no_answer_changes_the_code() {
    for stack in Stack::all().unwrap() {
        let code = |mut files: Files| -> Files {
            files.retain(|path, _| !ANSWERED.iter().any(|answered| path.starts_with(answered)));
            files
        };
        let default = code(render(&stack.slug, &[]));
        for options in combinations() {
            let other = code(render(&stack.slug, &options));
            let paths = default.keys().chain(other.keys());
            let changed: Vec<_> =
                paths.filter(|path| default.get(*path) != other.get(*path)).collect();
            assert!(changed.is_empty(), "{} {options:?}: {changed:?}", stack.slug);
        }
    }
}

#[test]
fn a_name_stands_everywhere_in_the_form_of_that_place() {
    for (given, slug, package) in [
        ("my-shop-2", "my-shop-2", "my_shop_2"),
        ("Shop", "shop", "shop"),
        ("shop_api", "shop-api", "shop_api"),
    ] {
        for stack in Stack::all().unwrap() {
            let files = render_called(given, &stack.slug, &[]);
            let text = |path: &str| String::from_utf8_lossy(&files[path]).into_owned();
            let assert_says = |path: &str, said: &str| {
                assert!(text(path).contains(said), "{} {path} does not say {said}", stack.slug);
            };
            let manifests = [
                ("Cargo.toml", format!("name = \"{slug}\"")),
                ("package.json", format!("\"name\": \"{slug}\"")),
                ("pyproject.toml", format!("name = \"{slug}\"")),
            ];
            let (manifest, said) =
                manifests.iter().find(|(path, _)| files.contains_key(*path)).unwrap();
            assert_says(manifest, said);
            assert_says("README.md", &format!("# {given}\n"));
            assert_says("dozen.toml", &format!("name = \"{given}\""));
            assert_says(".env.example", &format!(":5432/{package}\n"));
            assert_says("compose.yaml", &format!("name: {slug}\n"));
            assert_says("compose.yaml", &format!("POSTGRES_DB: {package}\n"));
            assert_says("compose.yaml", &format!("image: ${{IMAGE:-{slug}}}\n"));
            assert_says("deploy/base/web.yaml", &format!("name: {slug}-web\n"));
            assert_says("deploy/base/web.yaml", &format!("image: {slug}\n"));
            assert_says(
                "deploy/staging/kustomization.yaml",
                &format!("namespace: {slug}-staging\n"),
            );
        }
    }
}
