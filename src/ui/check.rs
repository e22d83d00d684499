//! A report of `check` for people: the twelve, then what was found, each with its line, its reason and the next step.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;

use console::{Style, measure_text_width};

use super::Report as Versioned;
use crate::check::finding::{Finding, Report, Severity, Verdict};
use crate::check::rule::Rules;
use crate::error::Result;

/// Where a line of prose ends.
const WIDTH: usize = 96;
/// So many more places of one rule are named.
const MAX_PLACES: usize = 6;

/// A report with the rules that it names, ready to be printed.
#[derive(Debug)]
pub struct CheckReport<'a> {
    pub report: &'a Report,
    pub rules: &'a Rules,
}

/// Styles, or none where the text goes into a file.
struct Paint {
    has_colour: bool,
}

impl Paint {
    fn with(&self, style: &Style, text: &str) -> String {
        if self.has_colour { style.apply_to(text).to_string() } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.with(&Style::new().bold(), text)
    }

    fn dim(&self, text: &str) -> String {
        self.with(&Style::new().dim(), text)
    }
}

impl CheckReport<'_> {
    /// For people; with colour only at a terminal.
    #[must_use]
    pub fn text(&self, may_colour: bool) -> String {
        let paint = Paint { has_colour: may_colour && console::colors_enabled() };
        let mut out = String::new();
        self.write_text(&mut out, &paint);
        out
    }

    /// One object, as `dozen schema` describes it.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn json(&self) -> Result<String> {
        let text =
            serde_json::to_string_pretty(&Versioned::new(self.report)).map_err(io::Error::from)?;
        Ok(format!("{text}\n"))
    }

    fn write_text(&self, out: &mut String, paint: &Paint) {
        self.write_table(out, paint);
        for group in self.groups() {
            write_group(out, paint, &group);
        }
        self.write_remarks(out, paint);
        self.write_rest(out, paint);
    }

    fn write_table(&self, out: &mut String, paint: &Paint) {
        let factors = &self.report.factors;
        let width = factors.iter().map(|said| said.factor.slug().len()).max().unwrap_or(0);
        let verdicts = factors.iter().map(|said| said.verdict.text().len()).max().unwrap_or(0);
        for said in factors {
            let verdict = format!("{:<verdicts$}", said.verdict.text());
            let verdict = paint.with(&verdict_style(said.verdict), &verdict);
            let room = WIDTH.saturating_sub(width + verdicts + 6).max(20);
            let reason = shorten(&said.reason, room);
            let _ = writeln!(
                out,
                "  {:<width$}  {verdict}  {}",
                said.factor.slug(),
                paint.dim(&reason)
            );
        }
        let count = |verdict| factors.iter().filter(|said| said.verdict == verdict).count();
        let counts: Vec<String> =
            [Verdict::Met, Verdict::Partly, Verdict::Violated, Verdict::NotDeterminable]
                .into_iter()
                .filter(|verdict| count(*verdict) > 0)
                .map(|verdict| format!("{} {}", count(verdict), verdict.text()))
                .collect();
        let _ = writeln!(out, "\n  {}", paint.bold(&counts.join(", ")));
    }

    /// The findings that weigh, those of one rule together, in their order.
    fn groups(&self) -> Vec<Vec<&Finding>> {
        let mut groups: Vec<Vec<&Finding>> = Vec::new();
        let mut known: BTreeMap<(&str, Severity), usize> = BTreeMap::new();
        for finding in self.report.findings.iter().filter(|found| found.severity > Severity::Info) {
            let key = (finding.rule.as_str(), finding.severity);
            if let Some(group) = known.get(&key).and_then(|at| groups.get_mut(*at)) {
                group.push(finding);
            } else {
                known.insert(key, groups.len());
                groups.push(vec![finding]);
            }
        }
        groups
    }

    fn write_remarks(&self, out: &mut String, paint: &Paint) {
        let remarks: Vec<&Finding> =
            self.report.findings.iter().filter(|found| found.severity == Severity::Info).collect();
        if remarks.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n{}", paint.bold("Worth knowing"));
        for found in remarks.iter().take(MAX_PLACES) {
            let place = format!("{}:{}", found.place.path, found.place.line);
            let _ = writeln!(
                out,
                "  {}  {}  {}",
                plain(&place),
                plain(&found.message),
                paint.dim(&found.rule)
            );
        }
        if remarks.len() > MAX_PLACES {
            let _ = writeln!(out, "  and {} more, which --json lists", remarks.len() - MAX_PLACES);
        }
    }

    fn write_rest(&self, out: &mut String, paint: &Paint) {
        let report = self.report;
        if !report.notes.is_empty() {
            let _ = writeln!(out, "\n{}", paint.bold("What is allowed"));
            for note in &report.notes {
                let _ = writeln!(
                    out,
                    "  {}:{}  {}",
                    plain(&note.path),
                    note.line,
                    plain(&note.message)
                );
            }
        }
        if !report.allowed.is_empty() {
            let _ = writeln!(
                out,
                "\n  {} let be, by a comment or the baseline",
                count(report.allowed.len(), "finding")
            );
        }
        if !report.unread.is_empty() {
            let _ = writeln!(out, "\n{}", paint.bold("Not read"));
            for unread in report.unread.iter().take(MAX_PLACES) {
                let _ = writeln!(out, "  {}: {}", plain(&unread.path), plain(&unread.reason));
            }
            if report.unread.len() > MAX_PLACES {
                let _ = writeln!(
                    out,
                    "  and {} more, which --json lists",
                    report.unread.len() - MAX_PLACES
                );
            }
        }
        if report.findings.iter().any(|found| found.severity > Severity::Info) {
            let _ = writeln!(out, "\n{}", paint.dim("`dozen explain RULE` says more of a rule; `dozen: allow(RULE) reason` in a comment lets one be."));
        }
    }
}

fn write_group(out: &mut String, paint: &Paint, group: &[&Finding]) {
    let [first, others @ ..] = group else { return };
    let severity = paint.with(&severity_style(first.severity), severity_text(first.severity));
    let _ = writeln!(
        out,
        "\n{severity} {}: {}  {}",
        first.factor,
        paint.bold(&plain(&first.message)),
        paint.dim(&first.rule)
    );
    let _ = writeln!(out, "  {}:{}", plain(first.place.path.as_str()), first.place.line);
    if !first.frame.trim().is_empty() {
        let number = first.place.line.to_string();
        let frame = first.frame.trim_start();
        let _ = writeln!(
            out,
            "  {} {}",
            paint.dim(&format!("{number} │")),
            shorten(frame, WIDTH - number.len() - 5)
        );
    }
    if !others.is_empty() {
        let mut places: Vec<String> = others
            .iter()
            .take(MAX_PLACES)
            .map(|found| format!("{}:{}", found.place.path, found.place.line))
            .collect();
        if others.len() > MAX_PLACES {
            places.push(format!("{} more", others.len() - MAX_PLACES));
        }
        write_prose(out, paint, "also", &plain(&places.join(", ")));
    }
    write_prose(out, paint, "why", &first.why);
    write_prose(out, paint, "next", &first.fix);
}

/// A word, then text that is broken into lines beside it.
fn write_prose(out: &mut String, paint: &Paint, word: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    let mut line = String::new();
    let mut is_first = true;
    let mut flush = |line: &mut String| {
        let head = if is_first { format!("{word:<5}") } else { " ".repeat(5) };
        let _ = writeln!(out, "  {}{line}", paint.dim(&head));
        is_first = false;
        line.clear();
    };
    for part in text.split_whitespace() {
        if !line.is_empty() && measure_text_width(&line) + measure_text_width(part) + 8 > WIDTH {
            flush(&mut line);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(part);
    }
    flush(&mut line);
}

/// The text in so many columns, without what could change the terminal.
fn shorten(text: &str, room: usize) -> String {
    console::truncate_str(&plain(text), room, "…").into_owned()
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

const fn severity_text(severity: Severity) -> &'static str {
    match severity {
        Severity::Violation => "violated",
        Severity::Risk => "partly",
        Severity::Info => "info",
    }
}

fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Violation => Style::new().red().bold(),
        Severity::Risk => Style::new().yellow().bold(),
        Severity::Info => Style::new(),
    }
}

fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Met => Style::new().green(),
        Verdict::Partly => Style::new().yellow(),
        Verdict::Violated => Style::new().red(),
        Verdict::NotDeterminable => Style::new().dim(),
    }
}
