//! `dozen new`: from answers to a repository.

use std::path::{Path, PathBuf};

use crate::answers::question::Question;
use crate::answers::{Answers, Draft, Source, record};
use crate::cli::New;
use crate::error::{Error, ExitCode, Result};
use crate::git::{self, Author};
use crate::plan::{self, Plan};
use crate::service::Service;
use crate::tree::Tree;
use crate::ui::{PlanReport, Ui};
use crate::{apply, interrupt, prompt, templates};

pub fn run(arguments: &New, ui: &Ui) -> Result<ExitCode> {
    if let Some(target) = &arguments.into {
        super::recover(target, ui)?;
        apply::check_vacant(target)?;
    }
    let mut draft = gather(arguments)?;
    let is_asking = ui.is_interactive() && !arguments.yes && !arguments.output.json;
    let answers = if is_asking {
        let check = |name: &str| apply::check_vacant(&target(arguments, name));
        prompt::ask(draft, &check, &|answers| summarize(arguments, answers))?
    } else {
        if arguments.yes {
            draft.fill_defaults();
        }
        draft.complete()?
    };
    let service = Service::from_answers(&answers)?;
    let plan = plan_repository(&service, &target(arguments, &answers.name.name))?;
    apply::check_vacant(&plan.root)?;

    let output = arguments.output;
    if !is_asking && !output.json && !output.diff {
        show_answers(&answers, ui)?;
    }
    super::show(&plan, output, ui)?;
    let mut author = None;
    if !output.dry_run {
        interrupt::listen();
        author = create(arguments, &answers, &plan)?;
    }
    if output.json {
        ui.json(&PlanReport::new(&plan, &answers, !output.dry_run))?;
    } else if !output.dry_run {
        show_created(&plan, &service, author, arguments, ui)?;
    }
    Ok(ExitCode::Done)
}

/// The answers that need no asking, the strongest source first.
fn gather(arguments: &New) -> Result<Draft> {
    let mut draft = Draft::new(Question::all()?);
    for (question, value) in &arguments.answers.flags {
        draft.offer(&question.key, value, Source::Flag(question.flag()))?;
    }
    for setting in &arguments.set {
        let (key, value) =
            setting.split_once('=').ok_or_else(|| Error::SetSyntax(setting.clone()))?;
        draft.offer(key, value, Source::Flag(format!("--set {key}")))?;
    }
    for (question, value) in &arguments.answers.environment {
        draft.offer(&question.key, value, Source::Environment(question.variable()))?;
    }
    if let Some(path) = &arguments.file {
        draft.offer_file(path, &Source::File(path.clone()))?;
    }
    if let Some(path) = record::find_user_config() {
        draft.offer_file(&path, &Source::UserConfig(path.clone()))?;
    }
    Ok(draft)
}

fn target(arguments: &New, name: &str) -> PathBuf {
    arguments.into.clone().unwrap_or_else(|| PathBuf::from(name))
}

fn plan_repository(service: &Service, target: &Path) -> Result<Plan> {
    let root = std::path::absolute(target)
        .map_err(|error| Error::Unreadable { path: target.to_owned(), error })?;
    let rendered = templates::render(&templates::find_all(&service.stack), service)?;
    Ok(plan::plan(root, &Tree::default(), Vec::new(), rendered))
}

fn create(arguments: &New, answers: &Answers, plan: &Plan) -> Result<Option<Author>> {
    let author = std::cell::Cell::new(None);
    let wants_git = !arguments.no_git && git::find_enclosing(&plan.root).is_none();
    let message = format!(
        "Start {} from dozen {}\n\nStack: {}",
        answers.name.name,
        env!("CARGO_PKG_VERSION"),
        answers.stack.slug
    );
    apply::create(plan, &|folder| {
        if wants_git {
            author.set(Some(git::commit_all(folder, &message)?));
        }
        Ok(())
    })?;
    Ok(author.get())
}

/// What will be done, for the review.
fn summarize(arguments: &New, answers: &Answers) -> Result<String> {
    let target = target(arguments, &answers.name.name);
    let plan = plan_repository(&Service::from_answers(answers)?, &target)?;
    let repository = if arguments.no_git {
        "without git".to_owned()
    } else if let Some(outer) = git::find_enclosing(&plan.root) {
        format!("inside the repository {}", outer.display())
    } else {
        "a git repository with one commit".to_owned()
    };
    Ok(format!("{} files in {}, {repository}", plan.changes.len(), target.display()))
}

fn show_answers(answers: &Answers, ui: &Ui) -> Result<()> {
    let sources: Vec<_> = answers
        .entries()
        .map(|(key, _)| answers.source(key).map(ToString::to_string).unwrap_or_default())
        .collect();
    let entries = answers.entries().zip(&sources);
    ui.rows(entries.map(|((key, value), source)| [key, value, source]))?;
    ui.line("")
}

fn show_created(
    plan: &Plan,
    service: &Service,
    author: Option<Author>,
    arguments: &New,
    ui: &Ui,
) -> Result<()> {
    let target = target(arguments, &service.name);
    let repository = match (author, git::find_enclosing(&plan.root)) {
        (Some(Author::User), _) => "one commit".to_owned(),
        (Some(Author::Fallback), _) => {
            "one commit, by `dozen`: git knows no name of yours".to_owned()
        }
        (None, Some(outer)) => {
            format!("no commit: it is inside the repository {}", outer.display())
        }
        (None, None) => "no git".to_owned(),
    };
    ui.heading(&format!("Created {}", target.display()))?;
    ui.line(format!("  {} files, {repository}", plan.changes.len()))?;
    ui.line("")?;
    ui.heading("Next")?;
    let is_here = plan.root == std::env::current_dir()?;
    let enter = (!is_here).then(|| format!("cd {}", quote(&target)));
    for command in enter.iter().chain(&service.facts.next) {
        ui.line(format!("  {command}"))?;
    }
    Ok(())
}

/// A path as a word of a shell.
fn quote(path: &Path) -> String {
    let text = path.display().to_string();
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte)) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
