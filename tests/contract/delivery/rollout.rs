//! Owns the order in which a release reaches a cluster, seen by a kubectl that only writes down what it is told.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};

use super::lint::require;
use crate::case::Case;
use crate::project::{self, NAME};
use dozen::prove::probe::tool::Finished;
use dozen::prove::probe::variables::Variables;

const KUBECTL: &str = include_str!("kubectl.sh");
const IMAGE: &str = "registry.example/my-shop@sha256:4f2a9c1";

pub fn migrates_first(case: &Case) -> Result<()> {
    let (finished, said, applied) = release(case, "succeeds")?;
    finished.expect_success()?;
    let order = [
        "delete job/",
        "in (config, migrate)",
        "condition=complete",
        "notin (migrate)",
        "rollout status",
    ];
    let mut rest = said.as_str();
    for step in order {
        let at = rest
            .find(step)
            .with_context(|| format!("`{step}` is not where it belongs:\n{said}"))?;
        rest = &rest[at..];
    }
    ensure!(applied.contains(&format!("image: {IMAGE}")), "the image is not what was asked for");
    ensure!(!applied.contains("image: my-shop\n"), "one image is none of the registry");

    let (finished, said, _) = release(case, "fails")?;
    ensure!(!finished.succeeded, "the release went on after a migration that failed");
    ensure!(
        !said.contains("notin (migrate)"),
        "something was rolled out after a migration that failed:\n{said}"
    );
    Ok(())
}

/// Runs `deploy/release`; gives what kubectl was told, and the manifests that it was given last.
fn release(case: &Case, migration: &str) -> Result<(Finished, String, String)> {
    require("kustomize", "install it")?;
    let options = ["--deploy", "kubernetes"];
    let folder =
        project::render_with(case.tether(), NAME, &case.stack().name, case.engine(), &options)?;
    let bin = case.tether().fresh_folder("kubectl")?;
    let kubectl = bin.join("kubectl");
    std::fs::write(&kubectl, KUBECTL)?;
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755))?;
    let said = bin.join("said");
    let variables = Variables::default().with("SAID", &said.display()).with("MIGRATION", migration);
    let line = format!("deploy/release staging {IMAGE}");
    let line = format!("{}/{line}", folder.display());
    let finished = case.toolbox().run_with(&line, &folder, Some(&bin), &variables)?;
    let told = std::fs::read_to_string(&said).context("kubectl was told nothing")?;
    Ok((finished, told, std::fs::read_to_string(said.with_extension("stdin"))?))
}
