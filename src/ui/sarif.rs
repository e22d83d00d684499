//! A report of `check` as SARIF 2.1.0, which GitHub's code scanning takes.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io;

use serde_json::{Value, json};

use super::check::CheckReport;
use crate::check::finding::{Allowed, Confidence, Finding, Severity};
use crate::check::rule::Rule;
use crate::error::Result;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

impl CheckReport<'_> {
    /// The log of one run.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn sarif(&self) -> Result<String> {
        let found = self.report.findings.iter().map(|finding| finding.rule.as_str());
        let allowed = self.report.allowed.iter().map(|allowed| allowed.rule.as_str());
        let ids: Vec<&str> = found.chain(allowed).collect::<BTreeSet<_>>().into_iter().collect();
        let rules: Vec<Value> =
            ids.iter().filter_map(|id| self.rules.find(id)).map(describe_rule).collect();
        let index = |id: &str| ids.iter().position(|known| *known == id);
        let results =
            self.report.findings.iter().map(|finding| describe(finding, index(&finding.rule)));
        let suppressed = self
            .report
            .allowed
            .iter()
            .map(|allowed| describe_allowed(allowed, index(&allowed.rule)));
        let results: Vec<Value> = results.chain(suppressed).collect();
        let notifications: Vec<Value> = self
            .report
            .unread
            .iter()
            .map(|unread| {
                json!({
                    "level": "note",
                    "message": { "text": format!("{} was not read: {}", unread.path, unread.reason) },
                })
            })
            .collect();
        let log = json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "dozen",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "informationUri": "https://12factor.net",
                    "rules": rules,
                }},
                "columnKind": "unicodeCodePoints",
                "invocations": [{
                    "executionSuccessful": true,
                    "toolExecutionNotifications": notifications,
                }],
                "results": results,
            }],
        });
        let text = serde_json::to_string_pretty(&log).map_err(io::Error::from)?;
        Ok(format!("{text}\n"))
    }
}

fn describe_rule(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.message.replace("{}", "…") },
        "fullDescription": { "text": rule.why },
        "help": { "text": format!("{}\n\n{}", rule.why, rule.fix) },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": {
            "tags": ["twelve-factor", rule.factor.slug()],
            "precision": match rule.confidence {
                Confidence::High => "high",
                Confidence::Medium => "medium",
            },
        },
    })
}

fn describe(finding: &Finding, index: Option<usize>) -> Value {
    let place = &finding.place;
    let mut region = json!({ "startLine": place.line, "startColumn": place.column });
    if (place.end_line, place.end_column) > (place.line, place.column) {
        region["endLine"] = place.end_line.into();
        region["endColumn"] = place.end_column.into();
    }
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding.severity),
        "message": { "text": format!("{}. {}", finding.message, finding.fix) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(place.path.as_str()), "uriBaseId": "%SRCROOT%" },
            "region": region,
        }}],
        "partialFingerprints": { "dozen/v1": finding.fingerprint },
    });
    if let Some(index) = index {
        result["ruleIndex"] = index.into();
    }
    result
}

fn describe_allowed(allowed: &Allowed, index: Option<usize>) -> Value {
    let mut result = json!({
        "ruleId": allowed.rule,
        "level": "none",
        "message": { "text": "Allowed." },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(allowed.path.as_str()), "uriBaseId": "%SRCROOT%" },
            "region": { "startLine": allowed.line },
        }}],
        "suppressions": [{ "kind": "inSource", "justification": allowed.reason }],
    });
    if let Some(index) = index {
        result["ruleIndex"] = index.into();
    }
    result
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Violation => "error",
        Severity::Risk => "warning",
        Severity::Info => "note",
    }
}

/// A path as a URI's: what is no letter, digit or one of a few signs is escaped.
fn uri(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
