//! A small HTTP service, its worker and its tasks.

pub mod cli;
pub mod database;
pub mod example;
pub mod extract;
pub mod features;
pub mod jobs;
pub mod logs;
mod middleware;
pub mod migrate;
mod migrations;
pub mod problems;
pub mod server;
pub mod services;
pub mod sessions;
pub mod settings;
pub mod shutdown;
pub mod web;
pub mod worker;

pub const NAME: &str = env!("CARGO_PKG_NAME");
