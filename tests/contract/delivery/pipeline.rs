//! Owns the pipelines as they are read by their providers: which steps a job has, and what they say when run.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::case::{Case, Stage};
use crate::project::{self, NAME};
use dozen::prove::probe::clone::{clone, compile_alone};
use dozen::prove::probe::tool::Caches;
use dozen::prove::probe::variables::Variables;

const GITHUB: &str = ".github/workflows/ci.yaml";
const GITLAB: &str = ".gitlab-ci.yml";
const JOBS: [&str; 2] = ["check", "test"];

/// Every piece of shell in the pipelines of a repository, by where it stands.
pub fn scripts(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut scripts = Vec::new();
    if let Some(workflow) = read(folder, GITHUB)? {
        for (job, said) in workflow["jobs"].as_object().context("jobs")? {
            for run in runs(said) {
                scripts.push((format!("{GITHUB}: {job}"), run));
            }
        }
    }
    if let Some(pipeline) = read(folder, GITLAB)? {
        for (job, said) in pipeline.as_object().context("jobs")? {
            let lines = lines(said, "before_script").chain(lines(said, "script"));
            let script = lines.collect::<Vec<_>>().join("\n");
            if !script.is_empty() {
                scripts.push((format!("{GITLAB}: {job}"), script));
            }
        }
    }
    Ok(scripts)
}

fn read(folder: &Path, file: &str) -> Result<Option<Value>> {
    let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
        return Ok(None);
    };
    Ok(Some(yaml_serde::from_str(&text).with_context(|| format!("read {file}"))?))
}

/// The `run:` of a job's steps.
fn runs(job: &Value) -> Vec<String> {
    let steps = job["steps"].as_array().into_iter().flatten();
    steps.filter_map(|step| step["run"].as_str()).map(str::to_owned).collect()
}

fn lines<'v>(job: &'v Value, key: &str) -> impl Iterator<Item = &'v str> {
    job[key].as_array().into_iter().flatten().filter_map(Value::as_str)
}

pub fn github_passes(case: &Case) -> Result<()> {
    let folder = workbench(case, "github")?;
    let workflow = read(&folder, GITHUB)?.context("there is no workflow")?;
    let stage = case.empty_stage()?;
    let places = case.tether().fresh_folder("github")?;
    for job in JOBS {
        let said = &workflow["jobs"][job];
        let steps = runs(said);
        ensure!(!steps.is_empty(), "the job {job} runs nothing");
        let paths = places.join(format!("{job}-path"));
        std::fs::write(&paths, "")?;
        for step in steps {
            // Each step is a shell of its own, which what an earlier one wrote to GITHUB_PATH reaches by its PATH.
            let added = std::fs::read_to_string(&paths)?;
            let path: Vec<&str> = added.lines().rev().chain([""]).collect();
            let script = format!(
                "export PATH={}\"$PATH\" GITHUB_PATH={}\n{step}",
                shell_words::quote(&path.join(":")),
                shell_words::quote(&paths.display().to_string()),
            );
            run_script(case, &folder, &variables(said, "env", &stage)?, &script)
                .with_context(|| format!("the step `{step}` of {job}"))?;
        }
    }
    Ok(())
}

pub fn gitlab_passes(case: &Case) -> Result<()> {
    let folder = workbench(case, "gitlab")?;
    let pipeline = read(&folder, GITLAB)?.context("there is no pipeline")?;
    let stage = case.empty_stage()?;
    for job in JOBS {
        let said = &pipeline[job];
        let base = &pipeline[said["extends"].as_str().unwrap_or_default()];
        let script: Vec<&str> = lines(base, "before_script").chain(lines(said, "script")).collect();
        ensure!(!script.is_empty(), "the job {job} runs nothing");
        let script = format!("export CI_PROJECT_DIR=\"$PWD\"\n{}", script.join("\n"));
        run_script(case, &folder, &variables(said, "variables", &stage)?, &script)
            .with_context(|| format!("the job {job}"))?;
    }
    Ok(())
}

/// A fresh clone of a project with that pipeline, in which nothing is installed.
fn workbench(case: &Case, ci: &str) -> Result<std::path::PathBuf> {
    let options = ["--ci", ci, "--deploy", "none"];
    let original =
        project::render_with(case.tether(), NAME, &case.stack().name, case.engine(), &options)?;
    let folder = case.tether().fresh_folder(ci)?.join(NAME);
    clone(&original, &folder)?;
    if case.stack().bin.starts_with("target/") {
        // The pipeline finds what it builds where it built it.
        std::os::unix::fs::symlink(Caches::of_user().compiled(), folder.join("target"))?;
    }
    Ok(folder)
}

/// The variables of a job, with the URLs of the services that run here in place of the runner's.
fn variables(job: &Value, key: &str, stage: &Stage) -> Result<Variables> {
    let given = job[key].as_object().into_iter().flatten();
    given.into_iter().try_fold(Variables::default(), |variables, (name, value)| {
        let value = value.as_str().with_context(|| format!("{name} is no text"))?;
        let here = stage.variables.get(name).filter(|_| name.ends_with("_URL"));
        Ok(variables.with(name, here.unwrap_or(value)))
    })
}

fn run_script(case: &Case, folder: &Path, variables: &Variables, script: &str) -> Result<()> {
    let _alone = compile_alone(&case.stack().bin, folder)?;
    let line = format!("bash -eo pipefail -c {}", shell_words::quote(script));
    case.toolbox().run_with(&line, folder, None, variables)?.expect_success().map(|_| ())
}
