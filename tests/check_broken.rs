//! `dozen check` finds each of the broken services of `prove` whose defect is visible in its text, and says where.
//!
//! The breakages are data: `tests/prove/broken/<factor>.toml`. One that no reader can know of says why (`invisible`).

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[allow(dead_code, reason = "git and the prover need more of it")]
#[path = "prove/breakage.rs"]
mod breakage;

use std::path::Path;
use std::sync::LazyLock;

use dozen::check::finding::{Report, Severity, Verdict};
use dozen::check::rule::Rules;
use dozen::check::{self, Repository};
use dozen::tree::{Content, RepoPath, Tree};

use self::breakage::{Breakage, Files};

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::load().unwrap());

fn judge(files: Files) -> Report {
    let files = files.into_iter().map(|(path, text)| {
        let path = RepoPath::parse(path.to_str().unwrap()).unwrap();
        (path, Content { bytes: text.into_bytes(), executable: false })
    });
    let repository = Repository { is_versioned: true, ..Repository::default() };
    check::check(Tree::from_files(files), repository, &RULES, None, &[]).unwrap()
}

/// The files that a breakage writes.
fn touches(breakage: &Breakage, path: &str) -> bool {
    let path = Path::new(path);
    breakage.edits.iter().any(|(name, ..)| name == path) || breakage.files.contains_key(path)
}

#[test]
fn the_service_as_it_is_meets_all_twelve() {
    let report = judge(breakage::service().unwrap());
    let wrong: Vec<_> = report.factors.iter().filter(|said| said.verdict != Verdict::Met).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{:#?}", report.findings);
}

#[test]
fn each_visible_breakage_is_found_where_it_is() {
    let mut wrong = Vec::new();
    for (factor, breakage) in breakage::breakages().unwrap() {
        let factor = breakage.checked_as.clone().unwrap_or_else(|| factor.to_string());
        let mut files = breakage::service().unwrap();
        breakage.apply(&mut files).unwrap();
        let report = judge(files);
        let said = report.factors.iter().find(|said| said.factor.slug() == &*factor).unwrap();
        let is_worse = matches!(said.verdict, Verdict::Partly | Verdict::Violated);
        let is_found = report.findings.iter().any(|found| {
            found.factor.slug() == &*factor
                && found.severity > Severity::Info
                && touches(&breakage, found.place.path.as_str())
        });
        let name = format!("{factor}: {}", breakage.name);
        match &breakage.invisible {
            None if !is_worse || !is_found => wrong.push(format!(
                "{name} is not found: {}\n  {} as {}; {:?}",
                breakage.how,
                factor,
                said.verdict.text(),
                report
                    .findings
                    .iter()
                    .map(|found| format!(
                        "{} at {}:{}",
                        found.rule, found.place.path, found.place.line
                    ))
                    .collect::<Vec<_>>()
            )),
            Some(reason) if is_worse => {
                wrong.push(format!("{name} is found, and said to be invisible: {reason}"));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
