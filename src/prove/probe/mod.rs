//! What every claim works with: processes that are watched, requests that no client should send, files that are
//! looked at twice. Nothing of it knows what a factor is.

pub mod clone;
pub mod diary;
pub mod http;
pub mod lazy;
pub mod output;
pub mod patience;
pub mod process;
pub mod procfs;
pub mod record;
pub mod snapshot;
pub mod surroundings;
pub mod tether;
pub mod tool;
pub mod turnstile;
pub mod variables;
