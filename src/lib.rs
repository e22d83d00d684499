//! dozen gives a team a service that follows the twelve factors, and keeps it so.
//!
//! # Layout
//!
//! Data flows one way: `answers` (or `service::detect`, from a `tree`) make a [`service::Service`]; `templates`
//! render the layers for it; `plan` decides, purely, what has to change in the tree; `ui` shows that and `apply`
//! writes it. `check` judges a tree and changes nothing; `prove` runs what it holds and looks from outside. `commands` has
//! one file a verb, which does just this. See DESIGN in `CONTRIBUTING.md`.

pub mod answers;
pub mod apply;
pub mod check;
mod child;
pub mod cli;
pub mod commands;
pub mod error;
pub mod factor;
mod git;
mod git_index;
mod interrupt;
pub mod lock;
pub mod mend;
pub mod merge;
pub mod pattern;
pub mod plan;
mod prompt;
#[cfg(target_os = "linux")]
pub mod prove;
pub mod service;
pub mod stack;
pub mod templates;
pub mod tree;
pub mod ui;
mod verify;
