//! Factor V, build, release, run: one artifact, built from the code alone, which running never changes.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::case::{Case, Claim, Order, Web};
use crate::missing::Missing;
use crate::patience::SOON;
use crate::project::Project;

pub const FACTOR: &str = "build-release-run";

pub const CLAIMS: &[Claim] = &[
    Claim::new("the build needs no service and no variable of the app", builds_alone),
    Claim::new(
        "after every boot and all traffic of this run the files of the app are unchanged",
        leaves_files_alone,
    )
    .begins(Order::Last),
    Claim::new("everything runs from a read-only tree", runs_read_only),
    Claim::new("one artifact and two sets of variables are two deploys", two_deploys),
];

fn builds_alone(case: &Case) -> Result<()> {
    // The tools got no variable of the app, and whoever knows no URL reaches no service of this run.
    let built = case.project()?.folder.join(&case.stack().bin);
    ensure!(built.is_dir(), "after the build there is no {}", built.display());
    Ok(())
}

fn leaves_files_alone(case: &Case) -> Result<()> {
    let changes = case.changed_files()?;
    if !changes.is_empty() {
        bail!("running changed files of the app:\n{}", changes.join("\n"));
    }
    Ok(())
}

fn runs_read_only(case: &Case) -> Result<()> {
    let wrapper = read_only(case.project()?)?;
    let stage = case.empty_stage()?;
    let mut release = stage.starter.start_in(&wrapper, "release", &stage.variables)?;
    let exit = release.wait_for_exit(SOON)?;
    ensure!(exit.is_zero(), "release ended with {exit}");
    let web = Web::ready(stage.starter.start_in(&wrapper, "web", &stage.variables)?, stage.port)?;
    let worker = stage.starter.start_in(&wrapper, "worker", &stage.variables)?;
    let id = web.post_note("three little words")?;
    web.wait_for_count(id, 3)?;
    drop(worker);
    Ok(())
}

/// A wrapper that shows a line its project in a mount of its own that nobody can write to, root included.
fn read_only(project: &Project) -> Result<Vec<String>> {
    const SCRIPT: &str = r#"
        mount --bind "$0" "$0"
        mount -o remount,bind,ro "$0"
        cd "$0"
        if touch "$0/written" 2>/dev/null; then echo "the tree is not read-only" >&2; exit 99; fi
        exec "$@"
    "#;
    let user: &[&str] =
        if nix::unistd::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    let mut wrapper: Vec<String> = vec!["unshare".to_owned()];
    wrapper.extend(user.iter().map(ToString::to_string));
    wrapper.extend(["--mount", "sh", "-euc", SCRIPT].map(str::to_owned));
    wrapper.push(project.folder.display().to_string());
    let (program, arguments) = wrapper.split_first().context("a wrapper")?;
    let possible = std::process::Command::new(program).args(arguments).arg("true").output();
    if !possible.is_ok_and(|output| output.status.success()) {
        return Err(Missing {
            what: "a mount of its own",
            package: "run as root, or where unprivileged user namespaces are allowed (util-linux' unshare)",
        }
        .into());
    }
    Ok(wrapper)
}

fn two_deploys(case: &Case) -> Result<()> {
    let first = case.shop()?;
    let stage = case.stage()?;
    let second = stage.web_with(&stage.variables.with("RELEASE", "4f2a9c1"))?;
    for (client, release) in [(&first.web.client, "dev"), (&second.client, "4f2a9c1")] {
        let said = client.get("/")?.expect(200)?.json()?;
        ensure!(said["release"] == release, "the deploy {release} says {said}");
    }
    first.web.post_note("only in the first")?;
    ensure!(stage.database.count_notes()? == 0, "the second deploy keeps the first one's note");
    let session = first.web.client.post("/session", &json!({ "name": "Ada" }))?;
    let cookie = session.expect(201)?.cookie().context("no cookie")?;
    let there = second.client.with_cookie(cookie);
    there.get("/session")?.expect(401)?;
    second.process.end()
}
