//! What is allowed: by a comment beside the line, or by a baseline for repositories that start from afar.

use std::collections::BTreeSet;

use memchr::memmem::Finder;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::case::Case;
use super::finding::{Allowed, Mark, Note, Polarity, Report, Severity};
use super::lines::{line, numbered};
use super::mask::Secrets;
use crate::tree::RepoPath;

/// The baseline's usual name.
pub const BASELINE: &str = ".dozen-check.toml";
const WORD: &str = "dozen: allow(";

/// Findings that are known and let be, each with its reason.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    #[serde(default)]
    pub allow: Vec<Entry>,
    /// Where it was read from.
    #[serde(skip)]
    pub path: String,
}

/// One of them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub rule: String,
    pub path: String,
    /// The finding's fingerprint; every finding of the rule in the file where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    #[serde(default)]
    pub reason: String,
}

impl Baseline {
    /// A baseline of all that was found and weighs.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let mut allow: Vec<Entry> = report
            .findings
            .iter()
            .filter(|finding| finding.severity > Severity::Info)
            .map(|finding| Entry {
                rule: finding.rule.clone(),
                path: finding.place.path.to_string(),
                fingerprint: Some(finding.fingerprint.clone()),
                reason: String::new(),
            })
            .collect();
        allow.sort_by(|a, b| (&a.path, &a.rule).cmp(&(&b.path, &b.rule)));
        Self { allow, path: BASELINE.to_owned() }
    }
}

/// A comment that allows a rule.
struct Comment {
    path: RepoPath,
    line: usize,
    rule: String,
    reason: String,
}

/// Takes what is allowed out of the marks. What allows nothing, or gives no reason, is noted.
pub fn apply(
    case: &mut Case<'_>,
    baseline: Option<&Baseline>,
    secrets: &Secrets,
) -> (Vec<Allowed>, Vec<Note>) {
    let comments = read_comments(case);
    let mut notes = Vec::new();
    let mut allowed = Vec::new();
    let mut used: BTreeSet<usize> = BTreeSet::new();
    let mut used_entries: BTreeSet<usize> = BTreeSet::new();
    let sources = case.sources;
    let allow = |mark: &Mark<'_>, reason: &str| Allowed {
        rule: mark.rule.id.clone(),
        factor: mark.rule.factor,
        path: mark.place.path.clone(),
        line: mark.place.line,
        reason: secrets.mask(reason),
    };
    case.marks.retain(|mark| {
        if mark.rule.polarity == Polarity::For {
            return true;
        }
        let comment = comments.iter().position(|comment| {
            comment.rule == mark.rule.id
                && comment.path == mark.place.path
                && (comment.line == mark.place.line || comment.line + 1 == mark.place.line)
        });
        if let Some(at) = comment {
            used.insert(at);
            if !comments[at].reason.is_empty() {
                allowed.push(allow(mark, &comments[at].reason));
                return false;
            }
        }
        let text = sources.get(&mark.place.path).map_or("", |source| source.text.as_str());
        let print = super::fingerprint(mark, &secrets.mask(line(text, mark.place.line)));
        let entry = baseline.and_then(|baseline| {
            baseline.allow.iter().position(|entry| {
                entry.rule == mark.rule.id
                    && entry.path == mark.place.path.as_str()
                    && entry.fingerprint.as_ref().is_none_or(|known| *known == print)
            })
        });
        if let (Some(at), Some(baseline)) = (entry, baseline) {
            used_entries.insert(at);
            allowed.push(allow(mark, &baseline.allow[at].reason));
            return false;
        }
        true
    });
    for (at, comment) in comments.iter().enumerate() {
        let message = if comment.reason.is_empty() {
            format!("`dozen: allow({})` gives no reason: write why behind it", comment.rule)
        } else if case.rules.find(&comment.rule).is_none() {
            format!("`dozen: allow({})` names no rule", comment.rule)
        } else if used.contains(&at) {
            continue;
        } else {
            format!("`dozen: allow({})` allows nothing here: remove it", comment.rule)
        };
        notes.push(Note { path: comment.path.to_string(), line: comment.line, message });
    }
    for (at, entry) in baseline.iter().flat_map(|baseline| baseline.allow.iter().enumerate()) {
        let path = baseline.map_or_else(String::new, |baseline| baseline.path.clone());
        if !used_entries.contains(&at) {
            let message =
                format!("`{}` in `{}` is not found any more: remove it", entry.rule, entry.path);
            notes.push(Note { path, line: 1, message });
        } else if entry.reason.trim().is_empty() {
            let message =
                format!("`{}` in `{}` is allowed without a reason", entry.rule, entry.path);
            notes.push(Note { path, line: 1, message });
        }
    }
    (allowed, notes)
}

fn read_comments(case: &Case<'_>) -> Vec<Comment> {
    let word = Finder::new(WORD);
    let texts: Vec<_> = case.sources.iter().collect();
    let found = texts.par_iter().filter(|(_, source)| word.find(source.text.as_bytes()).is_some());
    let found: Vec<_> = found.collect();
    let mut comments = Vec::new();
    for (path, source) in found {
        for (number, text) in numbered(&source.text) {
            let Some((before, after)) = text.split_once(WORD) else { continue };
            let Some((rule, reason)) = after.split_once(')') else { continue };
            if !is_comment(before) {
                continue;
            }
            let reason = reason.trim().trim_end_matches("*/").trim_end_matches("-->").trim();
            comments.push(Comment {
                path: (*path).clone(),
                line: number,
                rule: rule.trim().to_owned(),
                reason: reason.trim_start_matches([':', '-']).trim().to_owned(),
            });
        }
    }
    comments
}

/// Whether a comment begins in what stands before, in any of the languages that are read.
fn is_comment(before: &str) -> bool {
    ["#", "//", "/*", "*", "--", ";", "<!--", "{#"]
        .iter()
        .any(|mark| before.trim_end().ends_with(mark))
}
