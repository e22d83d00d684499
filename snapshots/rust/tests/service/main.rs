//! The service, on the database and the Redis of the environment.

#![allow(clippy::panic, clippy::unwrap_used)]

mod example;
mod jobs;
mod migrations;
mod processes;
mod sessions;
mod support;
mod web;
