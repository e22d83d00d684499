//! `dozen check`: whether a repository holds to the twelve, with the lines that decide it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::apply;
use crate::check::allow::{BASELINE, Baseline};
use crate::check::finding::Report;
use crate::check::rule::Rules;
use crate::check::{self, Repository, sources};
use crate::cli::{Check, Format};
use crate::error::{Error, ExitCode, Result};
use crate::factor::Factor;
use crate::tree::Tree;
use crate::ui::{CheckReport, Ui};
use crate::{git, git_index};

pub fn run(arguments: &Check, ui: &Ui) -> Result<ExitCode> {
    let factors =
        arguments.factors.iter().map(|text| text.parse()).collect::<Result<Vec<Factor>>>()?;
    let root = super::find_root(&arguments.path)?;
    super::recover_to_read(&root, ui)?;
    let file = arguments.baseline.clone().unwrap_or_else(|| root.join(BASELINE));
    let rules = Rules::load()?;
    if arguments.write_baseline {
        let report = judge(&root, &rules, None, &factors)?;
        return write_baseline(&file, &report, ui);
    }
    let baseline = read_baseline(&file, arguments.baseline.is_some())?;
    let report = judge(&root, &rules, baseline.as_ref(), &factors)?;
    let shown = CheckReport { report: &report, rules: &rules };
    let text = match if arguments.json { Format::Json } else { arguments.format } {
        Format::Text => shown.text(arguments.output.is_none()),
        Format::Json => shown.json()?,
        Format::Sarif => shown.sarif()?,
        Format::Github => shown.github(),
    };
    match &arguments.output {
        Some(path) => apply::write_output(path, &text)?,
        None => ui.text(text)?,
    }
    Ok(if report.fails(arguments.fail_on) { ExitCode::No } else { ExitCode::Done })
}

fn judge(
    root: &Path,
    rules: &Rules,
    baseline: Option<&Baseline>,
    factors: &[Factor],
) -> Result<Report> {
    let (tree, repository) = read_repository(root)?;
    check::check(tree, repository, rules, baseline, factors)
}

/// What stands at `root`, as a check wants to know it.
pub fn read_repository(root: &Path) -> Result<(Tree, Repository)> {
    let mut tree = Tree::read_with(root, sources::wants)?;
    let tracked = git_index::tracked(root);
    // What git has though it ignores it is deployed like the rest.
    tree.add_files(tracked.iter().flatten().filter(|path| root.join(path).exists()).cloned());
    let repository = Repository {
        root: root.to_string_lossy().into_owned(),
        tracked,
        is_versioned: git::find_enclosing(root).is_some(),
    };
    Ok((tree, repository))
}

/// The findings that a repository lets be.
pub fn read_baseline(path: &PathBuf, is_asked_for: bool) -> Result<Option<Baseline>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !is_asked_for => return Ok(None),
        Err(error) => return Err(Error::Unreadable { path: path.clone(), error }),
    };
    let mut baseline: Baseline = toml::from_str(&text).map_err(|error| Error::Malformed {
        path: path.clone(),
        reason: error.message().to_owned(),
    })?;
    baseline.path =
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Some(baseline))
}

fn write_baseline(path: &Path, report: &Report, ui: &Ui) -> Result<ExitCode> {
    let baseline = Baseline::of(report);
    let text = toml::to_string_pretty(&baseline)
        .map_err(|error| Error::Malformed { path: path.to_owned(), reason: error.to_string() })?;
    let head = "# Findings of `dozen check` that are let be. Give each a reason; remove it when it is mended.\n\n";
    apply::write_output(path, format!("{head}{text}"))?;
    ui.line(format!("Wrote {} findings to {}", baseline.allow.len(), path.display()))?;
    ui.line("Give each of them a reason: `check` goes on naming those without one.")?;
    Ok(ExitCode::Done)
}
