//! Factor VI, processes: nothing is kept in one; a session outlives the process that began it.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::case::{Case, Claim};

pub const FACTOR: &str = "processes";

pub const CLAIMS: &[Claim] = &[
    Claim::new(
        "a session begun on one web process holds on another, also after kill -9 of the first, \
         and once ended there is over for both",
        session_is_shared,
    ),
    Claim::new("a note posted to one web process is read from another", note_is_shared),
];

fn session_is_shared(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    let mut first = shop.another_web()?;
    let second = &shop.web;
    let begun = first.client.post("/session", &json!({ "name": "Ada" }))?;
    let cookie = begun.expect(201)?.cookie().context("no cookie")?;
    let there = second.client.with_cookie(cookie.as_str());
    let holds = |when: &str| -> Result<()> {
        let said = there.get("/session")?.expect(200)?.json()?;
        ensure!(said == json!({ "name": "Ada" }), "{when} the second process says {said}");
        Ok(())
    };
    holds("at first")?;
    first.process.kill()?;
    holds("after kill -9 of the first")?;
    let revived = shop.another_web()?;
    let here = revived.client.with_cookie(cookie.as_str());
    here.get("/session")?.expect(200)?;
    there.delete("/session")?.expect(204)?;
    there.get("/session")?.expect_problem(401)?;
    here.get("/session")?.expect_problem(401)?;
    revived.process.end()
}

fn note_is_shared(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    let another = shop.another_web()?;
    let id = shop.web.post_note("from the first")?;
    let note = another.client.get(&format!("/notes/{id}"))?;
    let note = note.expect(200)?.json()?;
    ensure!(note["body"] == "from the first", "the second process says {note}");
    another.process.end()
}
