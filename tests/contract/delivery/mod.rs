//! From a commit to production: the image, compose, the pipelines and the manifests, run or judged by the tools
//! that users run them with.

mod compose;
mod lint;
mod pipeline;
mod rollout;

use crate::case::{Claim, Order};

pub const SUBJECT: &str = "delivery";

pub const CLAIMS: &[Claim] = &[
    Claim::new(
        "whatever is answered, image, compose, pipeline and manifests pass their own linters and schemas",
        lint::all_pass,
    )
    .begins(Order::First),
    Claim::new("the steps of the GitHub workflow pass as they stand", pipeline::github_passes),
    Claim::new("the lines of the GitLab pipeline pass as they stand", pipeline::gitlab_passes),
    Claim::new(
        "docker compose up on a clean clone ends with a served request, tasks run, and stop lets a request end",
        compose::serves,
    ),
    Claim::new("a broken migration fails docker compose up by its name, and web does not start", compose::stops_at_migration),
    Claim::new("production's compose file asks for what it lacks by its name", compose::asks_for_values),
    Claim::new(
        "the image runs as nobody, on a read-only root without capabilities, and has no build tool in it",
        compose::image_is_bare,
    ),
    Claim::new("after a change of one line the image is built without installing again", compose::rebuilds_quickly),
    Claim::new("a release migrates before it rolls out, and rolls nothing out where that fails", rollout::migrates_first),
];
