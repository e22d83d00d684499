//! Decides, and writes nothing: tree + rendered layers -> the changes that are needed and the conflicts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::check::finding::Finding;
use crate::factor::Factor;
use crate::merge::{self, Format, Lines};
use crate::service::detect::{COMPOSE_FILES, VARIABLE_FILES};
use crate::templates::{Kind, Rendered};
use crate::tree::{Content, Entry, RepoPath, Tree};

/// Files that go by several names: where one of a row stands, it is that file.
const ALIASES: [&[&str]; 2] = [&COMPOSE_FILES, &VARIABLE_FILES];

/// What is to be done in a repository. What changes nothing is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub root: PathBuf,
    /// Sorted by path.
    pub changes: Vec<Change>,
    /// Sorted by path.
    pub conflicts: Vec<Conflict>,
    /// What no plan can mend, and a person can.
    pub instructions: Vec<Instruction>,
    /// What a person has to know of what is done.
    pub remarks: Vec<String>,
}

/// A file that comes, becomes another, or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub path: RepoPath,
    /// The first that asks for it; none for the example service.
    pub factor: Option<Factor>,
    /// What must stand there when it is applied: nothing, or just these bytes.
    pub before: Option<Arc<Content>>,
    /// None where the file goes.
    pub after: Option<Content>,
    /// What it does to the source, in few words each.
    pub does: Vec<String>,
}

/// A place that a person has to see to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instruction {
    /// The rule of `check` that found it.
    pub rule: String,
    pub factor: Factor,
    pub path: RepoPath,
    pub line: usize,
    pub message: String,
    /// The change that mends it.
    pub fix: String,
}

/// A file that a person must decide on; with the text that it lacks, where that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    pub path: RepoPath,
    pub factor: Option<Factor>,
    pub reason: String,
    pub snippet: String,
    /// What would be done, if the person decided for it; none where that is not the whole file.
    #[serde(skip)]
    pub replacement: Option<Change>,
}

impl Plan {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.conflicts.is_empty()
    }

    /// Whether there is anything that a person could decide for or against.
    #[must_use]
    pub fn has_choice(&self) -> bool {
        let is_open = |conflict: &Conflict| conflict.replacement.is_some();
        !self.changes.is_empty() || self.conflicts.iter().any(is_open)
    }
}

impl Plan {
    /// This plan and then another one, which was made for the tree that this one leaves.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        for change in next.changes {
            match self.changes.iter_mut().find(|earlier| earlier.path == change.path) {
                Some(earlier) => {
                    earlier.after = change.after;
                    earlier.does.extend(change.does);
                    earlier.does.dedup();
                }
                None => self.changes.push(change),
            }
        }
        self.changes.retain(|change| change.before.as_deref() != change.after.as_ref());
        self.changes.sort_by(|a, b| a.path.cmp(&b.path));
        self.conflicts.extend(next.conflicts);
        self.remarks.extend(next.remarks);
        Self { instructions: next.instructions, ..self }
    }
}

impl Plan {
    /// This plan and one change more.
    #[must_use]
    pub fn including(self, change: Change) -> Self {
        let instructions = self.instructions.clone();
        self.then(Self { changes: vec![change], instructions, ..Self::default() })
    }
}

impl Instruction {
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        Self {
            rule: finding.rule.clone(),
            factor: finding.factor,
            path: finding.place.path.clone(),
            line: finding.place.line,
            message: finding.message.clone(),
            fix: finding.fix.clone(),
        }
    }
}

impl Change {
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "create",
            (Some(_), Some(_)) => "modify",
            (Some(_), None) => "delete",
        }
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            path: &'a RepoPath,
            kind: &'static str,
            factor: Option<Factor>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            does: &'a [String],
        }
        let Self { path, factor, does, .. } = self;
        Shown { path, kind: self.kind(), factor: *factor, does }.serialize(serializer)
    }
}

/// What lies at a path while the plan is made.
struct Draft {
    factor: Option<Factor>,
    before: Option<Arc<Content>>,
    after: Option<Content>,
    does: Vec<String>,
}

/// Plans to lay `layers` on `tree`, whose root is `root`, where `mended` files are as they will be.
#[must_use]
pub fn plan(root: PathBuf, tree: &Tree, mended: Vec<Change>, layers: Vec<Rendered>) -> Plan {
    let mut drafts: BTreeMap<RepoPath, Draft> = mended
        .into_iter()
        .map(|Change { path, factor, before, after, does }| {
            (path, Draft { factor, before, after, does })
        })
        .collect();
    let mut conflicts: BTreeMap<RepoPath, Conflict> = BTreeMap::new();

    for rendered in layers {
        let path = find_alias(tree, &rendered.path);
        if conflicts.contains_key(&path) {
            continue;
        }
        let factor = rendered.factor;
        let laid = open_draft(&mut drafts, tree, &path, factor)
            .and_then(|draft| lay(draft, &path, rendered));
        if let Err(Refusal { reason, snippet, after }) = laid {
            drafts.remove(&path);
            let replacement = after.and_then(|after| replace(tree, &path, factor, after));
            let conflict = Conflict { path: path.clone(), factor, reason, snippet, replacement };
            conflicts.insert(path, conflict);
        }
    }

    let changes = drafts
        .into_iter()
        .filter(|(_, draft)| draft.before.as_deref() != draft.after.as_ref())
        .map(|(path, draft)| Change {
            path,
            factor: draft.factor,
            before: draft.before,
            after: draft.after,
            does: draft.does,
        })
        .collect();
    let conflicts = conflicts.into_values().collect();
    Plan { root, changes, conflicts, instructions: Vec::new(), remarks: Vec::new() }
}

/// The name under which that file stands already, or the name itself.
fn find_alias(tree: &Tree, path: &RepoPath) -> RepoPath {
    let Some(row) = ALIASES.iter().find(|row| row.contains(&path.file_name())) else {
        return path.clone();
    };
    std::iter::once(&path.file_name())
        .chain(row.iter())
        .map(|name| path.with_file_name(name))
        .find(|candidate| tree.get(candidate).is_some())
        .unwrap_or_else(|| path.clone())
}

struct Refusal {
    reason: String,
    snippet: String,
    /// What the whole file would be.
    after: Option<Content>,
}

fn refuse(reason: &str) -> Refusal {
    Refusal { reason: reason.to_owned(), snippet: String::new(), after: None }
}

/// The change of a file that stands there into another, its mode kept.
fn replace(tree: &Tree, path: &RepoPath, factor: Option<Factor>, after: Content) -> Option<Change> {
    let Some(Entry::File(before)) = tree.get(path) else { return None };
    let after = Some(Content { executable: before.executable, ..after });
    Some(Change { path: path.clone(), factor, before: Some(before), after, does: Vec::new() })
}

fn open_draft<'a>(
    drafts: &'a mut BTreeMap<RepoPath, Draft>,
    tree: &Tree,
    path: &RepoPath,
    factor: Option<Factor>,
) -> Result<&'a mut Draft, Refusal> {
    use std::collections::btree_map::Entry as Slot;

    match drafts.entry(path.clone()) {
        Slot::Occupied(slot) => Ok(slot.into_mut()),
        Slot::Vacant(slot) => {
            for folder in path.folders() {
                if matches!(tree.get(&folder), Some(Entry::File(_) | Entry::Other(_))) {
                    return Err(refuse(&format!("`{folder}` is a file, not a folder")));
                }
            }
            let before = match tree.get(path) {
                None => None,
                Some(Entry::File(content)) => Some(content),
                Some(Entry::Folder) => return Err(refuse("it is a folder")),
                Some(Entry::Link) => {
                    return Err(refuse(
                        "it is, or lies behind, a symbolic link; dozen writes nothing through links",
                    ));
                }
                Some(Entry::Other(reason)) => return Err(refuse(&reason)),
            };
            let after = Some(before.as_deref().cloned().unwrap_or_default());
            Ok(slot.insert(Draft { factor, before, after, does: Vec::new() }))
        }
    }
}

fn lay(draft: &mut Draft, path: &RepoPath, rendered: Rendered) -> Result<(), Refusal> {
    let Some(after) = &mut draft.after else { return Err(refuse("it is to be deleted")) };
    let is_new = draft.before.is_none() && after.bytes.is_empty();
    if is_new {
        after.executable = rendered.text.starts_with("#!");
        after.bytes = rendered.text.into_bytes();
        return Ok(());
    }
    let base = &after.bytes;
    let merged = match rendered.kind {
        Kind::Own if *base == rendered.text.as_bytes() => return Ok(()),
        Kind::Own => {
            return Err(Refusal {
                reason: "it stands there already, with another content".to_owned(),
                after: Some(Content { bytes: rendered.text.clone().into(), executable: false }),
                snippet: rendered.text,
            });
        }
        Kind::Lines => merge::lines(Lines::of(path.file_name()), base, &rendered.text),
        Kind::Merge => match Format::of(path.file_name()) {
            Some(format) => merge::merge(format, base, &rendered.text),
            None => return Err(refuse("dozen merges TOML, JSON and YAML only")),
        },
    };
    after.bytes = merged
        .map_err(|conflict| Refusal {
            reason: conflict.reason,
            snippet: conflict.snippet,
            after: None,
        })?
        .into_bytes();
    Ok(())
}

/// The paths that two templates own: none, if the layers are in order.
#[must_use]
pub fn find_owned_twice(layers: &[Rendered]) -> BTreeSet<&RepoPath> {
    let mut owned = BTreeSet::new();
    layers
        .iter()
        .filter(|rendered| rendered.kind == Kind::Own)
        .filter_map(|rendered| (!owned.insert(&rendered.path)).then_some(&rendered.path))
        .collect()
}
