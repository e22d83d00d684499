//! The project's own checks and tests: they pass against real services, with the example and without it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::case::{Case, Claim, Order, Stage, Starter};
use crate::project;
use dozen::prove::backing::Engine;
use dozen::prove::probe::clone::{Project, compile_alone};
use dozen::prove::probe::patience::stays;
use dozen::prove::probe::variables::Variables;

pub const SUBJECT: &str = "own-suite";

pub const CLAIMS: &[Claim] = &[
    Claim::new("the project's own checks pass", checks_pass).begins(Order::First),
    Claim::new("the project's own checks pass whatever it is called and answered", checks_pass_by_any_name)
        .begins(Order::First),
    Claim::new("the project's own tests pass against real services", tests_pass).begins(Order::First),
    Claim::new(
        "with the example deleted as the README says, checks and tests pass and the service still serves",
        lives_without_example,
    )
    .begins(Order::First),
];

/// A clone that checks and tests may litter.
fn workbench(case: &Case) -> Result<Arc<Project>> {
    case.variant("workbench", &[])
}

fn run_checks(case: &Case, folder: &Path) -> Result<()> {
    let _alone = compile_alone(&case.stack().bin, folder)?;
    let bin = folder.join(&case.stack().bin);
    for line in &case.stack().check {
        case.toolbox()
            .run_with(line, folder, Some(&bin), &Variables::default())?
            .expect_success()?;
    }
    Ok(())
}

fn run_tests(case: &Case, project: &Project, stage: &Stage) -> Result<()> {
    let Some(line) = &case.stack().test else {
        return Ok(());
    };
    let _alone = compile_alone(&case.stack().bin, &project.folder)?;
    let bin = project.folder.join(&case.stack().bin);
    case.toolbox()
        .run_with(line, &project.folder, Some(&bin), &stage.variables)?
        .expect_success()
        .map(|_| ())
}

fn checks_pass(case: &Case) -> Result<()> {
    case.once("checks", || run_checks(case, &workbench(case)?.folder))
}

/// What is sorted or wrapped goes by a name's first letter or its length. No answer changes the code, only what
/// lies beside it: each database gets one of the two ends, and all that the other trials' answers do not bring.
fn checks_pass_by_any_name(case: &Case) -> Result<()> {
    let name = match case.engine() {
        Engine::Postgres => "a",
        Engine::Mysql => "Zeroes_and_ones_of_forty_characters_long",
    };
    let options = ["--ci", "gitlab", "--deploy", "heroku"];
    let folder =
        project::render_with(case.tether(), name, &case.stack().name, case.engine(), &options)?;
    case.toolbox().run(&case.stack().install, &folder)?.expect_success()?;
    run_checks(case, &folder)
}

fn tests_pass(case: &Case) -> Result<()> {
    run_tests(case, workbench(case)?.as_ref(), &case.stage()?)
}

fn lives_without_example(case: &Case) -> Result<()> {
    // What is left has no table: the other database would tell nothing new.
    case.once("without the example", || delete_example(case)).context("without the example")
}

fn delete_example(case: &Case) -> Result<()> {
    let project = case.variant("without the example", &case.stack().remove_example)?;
    run_checks(case, &project.folder)?;
    let mut stage = case.empty_stage()?;
    stage.starter = Starter::of_project(case, &project);
    stage.release()?;
    run_tests(case, &project, &stage)?;
    let web = stage.web()?;
    web.client.get("/")?.expect(200)?;
    web.client.get("/notes")?.expect_problem(404)?;
    let mut worker = stage.start("worker")?;
    stays(Duration::from_secs(3), || {
        worker.ensure_alive()?;
        Ok(None::<()>)
    })?;
    worker.end()?;
    web.process.end()
}
