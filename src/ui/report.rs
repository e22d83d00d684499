//! What `--json` prints: its shape is part of the product and only ever grows.

use std::borrow::Cow;

use serde::Serialize;

use crate::apply::Restoration;
use crate::plan::{Change, Conflict, Instruction, Plan};

/// The version of the shapes here.
const SCHEMA_VERSION: u32 = 1;

/// A report of any kind, under the version of the schema.
#[derive(Debug, Serialize)]
pub struct Report<T> {
    schema: u32,
    #[serde(flatten)]
    content: T,
}

/// What `new` and `add` decided and did.
#[derive(Debug, Serialize)]
pub struct PlanReport<'a, A> {
    /// What of the path is no text is replaced: JSON cannot hold it.
    root: Cow<'a, str>,
    /// Key to value; null where none were recorded.
    answers: A,
    changes: &'a [Change],
    conflicts: &'a [Conflict],
    /// What is left for a person.
    instructions: &'a [Instruction],
    remarks: &'a [String],
    applied: bool,
}

/// What `undo` decided and did: of the same shape.
#[derive(Debug, Serialize)]
pub struct UndoReport<'a> {
    pub root: Cow<'a, str>,
    pub answers: Option<()>,
    pub changes: &'a [Restoration],
    pub conflicts: &'a [Conflict],
    pub applied: bool,
}

impl<T> Report<T> {
    pub const fn new(content: T) -> Self {
        Self { schema: SCHEMA_VERSION, content }
    }
}

impl<'a, A> PlanReport<'a, A> {
    #[must_use]
    pub fn new(plan: &'a Plan, answers: A, applied: bool) -> Report<Self> {
        Report::new(Self {
            root: plan.root.to_string_lossy(),
            answers,
            changes: &plan.changes,
            conflicts: &plan.conflicts,
            instructions: &plan.instructions,
            remarks: &plan.remarks,
            applied,
        })
    }
}
