//! Factor VI, processes: nothing is kept in one; a session outlives the process that began it.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::case::Case;
use super::claim::{Claim, Need};
use super::probe::http::Answer;
use super::subject::Ask;

pub const CLAIMS: &[Claim] = &[
    Claim::new(
        "a session begun on one web process holds on another, also after kill -9 of the first, \
         and once ended there is over for both",
        session_is_shared,
    )
    .needs(&[Need::Session])
    .hint("keep sessions in Redis or the database, or in a signed cookie, not in the process"),
    Claim::new("what is created on one web process is read from another", item_is_shared)
        .needs(&[Need::Item])
        .hint("keep what lasts in the database, not in memory or on the local disk"),
];

/// What says that nobody is logged in.
const NO_SESSION: [u16; 6] = [302, 303, 307, 401, 403, 404];

fn session_is_shared(case: &Case) -> Result<()> {
    let session = case.subject().told.session.as_ref().context("no session is told")?;
    let shop = case.shop()?;
    let mut first = shop.another_web()?;
    let second = &shop.web;
    let ask =
        |client: &super::probe::http::Client, ask: &Ask| client.send(&ask.request(&Value::Null));
    let is_good = |answer: &Answer| (200..300).contains(&answer.status);
    let begun = ask(&first.client, &session.begin)?;
    // A form is answered with the way to the next page.
    ensure!(
        is_good(&begun) || [302, 303].contains(&begun.status),
        "a session could not be begun: {begun}"
    );
    let cookie = begun.cookies().context("a session was begun without a cookie")?;
    let here = first.client.with_cookie(cookie.as_str());
    let said = ask(&here, &session.read)?;
    said.expect(200).context("on the process that began it")?;
    let there = second.client.with_cookie(cookie.as_str());
    let holds = |when: &str| -> Result<()> {
        let answer = ask(&there, &session.read)?;
        answer.expect(200).with_context(|| format!("{when}, on the second process"))?;
        ensure!(answer.body == said.body, "{when} the second process says {answer}");
        Ok(())
    };
    holds("at first")?;
    first.process.kill()?;
    holds("after kill -9 of the first")?;
    let Some(end) = &session.end else {
        return Ok(());
    };
    let revived = shop.another_web()?;
    let here = revived.client.with_cookie(cookie.as_str());
    ask(&here, &session.read)?.expect(200).context("on a third process")?;
    let ended = ask(&there, end)?;
    ensure!(
        is_good(&ended) || [302, 303].contains(&ended.status),
        "the session could not be ended: {ended}"
    );
    for (process, client) in [("second", &there), ("third", &here)] {
        ask(client, &session.read)?
            .expect_one_of(&NO_SESSION)
            .with_context(|| format!("after its end, on the {process} process"))?;
    }
    revived.process.end()
}

fn item_is_shared(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    let mut another = shop.another_web()?;
    let here = another.create_item()?;
    let there = shop.web.create_item()?;
    let across = another.read_item(&there).context("from the process that did not create it")?;
    ensure!(across.is_object(), "the second process says {across}");
    another.process.kill()?;
    shop.web.read_item(&here).context("after kill -9 of the process that created it")?;
    let revived = shop.another_web()?;
    revived.read_item(&here).context("from a process that was started later")?;
    revived.process.end()
}
