//! The HTTP table of the contract: every endpoint, every error, and what no client should send.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::case::{Case, Claim, Notes as _, post_note, wait_for_count};
use crate::project::NAME;
use dozen::prove::backing::Secret;
use dozen::prove::probe::http::{Answer, Client, Request};
use dozen::prove::probe::patience::SOON;

pub const SUBJECT: &str = "http";

pub const CLAIMS: &[Claim] = &[
    Claim::new("GET / gives name and release", tells_name),
    Claim::new("/livez and /readyz give 200", tells_health),
    Claim::new("a session is begun, read and ended", session_lives_and_ends),
    Claim::new(
        "a session without a name, or with a name that is no text, gets 422",
        session_wants_a_name,
    ),
    Claim::new("the session's cookie is HttpOnly and SameSite=Lax", cookie_is_guarded),
    Claim::new(
        "a session lives in Redis alone: it is over when Redis forgets it",
        session_lives_in_redis,
    ),
    Claim::new(
        "a cookie that is garbage, tampered with or of another secret is no session, and no error",
        cookies_are_doubted,
    ),
    Claim::new(
        "a posted note has id, body, word_count null and created_at in UTC, and is read back the same",
        note_is_kept,
    ),
    Claim::new("the worker counts a note's words", words_are_counted),
    Claim::new("recount, a one-off task, counts the words of every note again", recounts),
    Claim::new("10,000 characters of 4 bytes are a note, 10,001 are not", length_is_in_characters),
    Claim::new("a body of the wrong type or length gets 422", wrong_type),
    Claim::new("a malformed body gets 400", malformed_body),
    Claim::new(
        "NUL, lone surrogates, huge numbers and deep nesting in a body are no server error",
        hostile_json,
    ),
    Claim::new("a body of 1 MiB is read, one byte more gets 413", size_limit),
    Claim::new("a chunked body over 1 MiB gets 413", chunked_size_limit),
    Claim::new("a body without end gets 413 all the same", endless_body),
    Claim::new("another content type, or none, is no server error", other_content_types),
    Claim::new("a note that is not there gets 404", no_such_note),
    Claim::new("an id that is no id, or is huge, is no server error", hostile_ids),
    Claim::new(
        "notes come newest first, 20 unless limit says 1 to 100, page by page with before",
        pages,
    ),
    Claim::new(
        "limit and before outside their borders are refused, never a server error",
        hostile_pages,
    ),
    Claim::new("an unknown path gets 404, a wrong method 405 with Allow", wrong_places),
    Claim::new("X-Request-Id is taken, returned, and made where there is none", request_ids),
    Claim::new(
        "what is hardly HTTP is no server error, and the next request is served",
        hardly_http,
    ),
];

fn expect_no_server_error(answer: &Answer) -> Result<()> {
    ensure!(answer.status < 500, "a client's mistake was answered with {answer}");
    if answer.status >= 400 {
        answer.expect_problem(answer.status)?;
    }
    Ok(())
}

fn expect_json(answer: &Answer) -> Result<Value> {
    let kind = answer.header("Content-Type").unwrap_or_default();
    ensure!(kind.starts_with("application/json"), "the content type is {kind:?} in {answer}");
    answer.json()
}

fn tells_name(case: &Case) -> Result<()> {
    let answer = case.shared()?.get("/")?;
    let said = expect_json(answer.expect(200)?)?;
    ensure!(said == json!({ "name": NAME, "release": "dev" }), "GET / says {said}");
    Ok(())
}

fn tells_health(case: &Case) -> Result<()> {
    let client = case.shared()?;
    client.get("/livez")?.expect(200)?;
    client.get("/readyz")?.expect(200)?;
    Ok(())
}

fn begin_session(client: &Client, name: &str) -> Result<String> {
    let answer = client.post("/session", &json!({ "name": name }))?;
    answer.expect(201)?.cookie().context("a session was begun without a cookie")
}

fn session_lives_and_ends(case: &Case) -> Result<()> {
    let client = case.shared()?;
    client.get("/session")?.expect_problem(401)?;
    for name in ["Ada", "Ada Lovelace \u{1f980} \u{e9}\u{301} \"quoted\""] {
        let cookie = begin_session(client, name)?;
        let known = client.with_cookie(cookie);
        let answer = known.get("/session")?;
        let said = expect_json(answer.expect(200)?)?;
        ensure!(said == json!({ "name": name }), "the session of {name:?} says {said}");
        known.delete("/session")?.expect(204)?;
        // The old cookie is worth nothing, though its signature is good.
        known.get("/session")?.expect_problem(401)?;
        expect_no_server_error(&known.delete("/session")?)?;
    }
    expect_no_server_error(&client.delete("/session")?)
}

fn session_wants_a_name(case: &Case) -> Result<()> {
    let client = case.shared()?;
    for body in [
        json!({}),
        json!({ "name": null }),
        json!({ "name": 7 }),
        json!({ "name": ["Ada"] }),
        json!([]),
    ] {
        client.post("/session", &body)?.expect_problem(422)?;
    }
    client.send(&Request::post_bytes("/session", "{\"name\": "))?.expect_problem(400)?;
    for body in [
        json!({ "name": "" }),
        json!({ "name": "x".repeat(500_000) }),
        json!({ "name": "a\u{0}b" }),
    ] {
        expect_no_server_error(&client.post("/session", &body)?)?;
    }
    Ok(())
}

fn cookie_is_guarded(case: &Case) -> Result<()> {
    let answer = case.shared()?.post("/session", &json!({ "name": "Ada" }))?;
    let cookie = answer.expect(201)?.header("Set-Cookie").context("no cookie")?;
    let attributes: Vec<String> =
        cookie.split(';').map(|part| part.trim().to_lowercase()).collect();
    for wanted in ["httponly", "samesite=lax"] {
        ensure!(
            attributes.iter().any(|attribute| attribute == wanted),
            "the cookie is not {wanted}: {cookie}"
        );
    }
    Ok(())
}

fn session_lives_in_redis(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let known = web.client.with_cookie(begin_session(&web.client, "Ada")?);
    known.get("/session")?.expect(200)?;
    stage.redis()?.flush()?;
    known.get("/session")?.expect_problem(401)?;
    Ok(())
}

fn cookies_are_doubted(case: &Case) -> Result<()> {
    let client = case.shared()?;
    let cookie = begin_session(client, "Ada")?;
    let (name, value) = cookie.split_once('=').context("a cookie without a name")?;
    let mut forged: Vec<Vec<u8>> = vec![
        format!("{name}=").into_bytes(),
        name.as_bytes().to_vec(),
        format!("{name}=garbage").into_bytes(),
        format!("{name}={}", "x".repeat(6_000)).into_bytes(),
        format!("{name}=\"{{}}\"").into_bytes(),
        format!("{name}=.").into_bytes(),
        format!("{name}=....").into_bytes(),
        format!("{name}=%00%ff%0d%0a").into_bytes(),
        format!("{name}={value}x").into_bytes(),
        format!("{name}=x{value}").into_bytes(),
        format!("{name}={}", &value[..value.len() / 2]).into_bytes(),
        [name.as_bytes(), b"=\xff\xfe\x80"].concat(),
        [name.as_bytes(), b"=", "\u{1f980}".as_bytes()].concat(),
        b";;;=;=;".to_vec(),
    ];
    // Every place in turn: each byte of the id and of the signature counts.
    for at in (0..value.len()).step_by(7) {
        let mut bytes = value.as_bytes().to_vec();
        // The last character of an unpadded base64 text has bits that decode to nothing.
        bytes[at] = if bytes[at] == b'A' { b'q' } else { b'A' };
        if at + 1 < value.len() {
            forged.push([name.as_bytes(), b"=", &bytes].concat());
        }
    }
    for cookie in forged {
        let shown = String::from_utf8_lossy(&cookie).into_owned();
        let stranger = client.with_cookie(cookie);
        let answer = stranger.get("/session")?;
        answer.expect_problem(401).with_context(|| format!("with the cookie {shown:?}"))?;
        expect_no_server_error(&stranger.delete("/session")?)?;
    }
    // A session in the same Redis, its cookie signed with another secret: not to be believed.
    let shop = case.shop()?;
    let secret = Secret::new("another");
    let variables = shop.stage.on_another_port()?;
    let stranger = shop.stage.web_with(&variables.with("SESSION_SECRET", secret.shortest()))?;
    let foreign = begin_session(&stranger.client, "Eve")?;
    client.with_cookie(foreign).get("/session")?.expect_problem(401)?;
    stranger.process.end()
}

fn note_is_kept(case: &Case) -> Result<()> {
    // A worker would fill word_count in between.
    let stage = case.stage()?;
    let web = stage.web()?;
    let bodies = [
        "x",
        "two words",
        " leading and trailing ",
        "line\nbreaks\r\nand\ttabs",
        "\u{e9}\u{301}\u{202e} right-to-left \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "'; DROP TABLE notes; -- %s {} \\ \" <b>",
    ];
    for body in bodies {
        let posted = web.client.post("/notes", &json!({ "body": body }))?;
        let note = expect_json(posted.expect(201)?)?;
        let members: Vec<&str> =
            note.as_object().context("no object")?.keys().map(String::as_str).collect();
        ensure!(members == ["body", "created_at", "id", "word_count"], "the note is {note}");
        let id = note["id"].as_i64().with_context(|| format!("the id is no integer in {note}"))?;
        ensure!(note["body"] == body, "{body:?} became {note}");
        ensure!(note["word_count"].is_null(), "word_count is not null in {note}");
        expect_now_in_utc(&note["created_at"])?;
        let read = web.client.get(&format!("/notes/{id}"))?;
        let read = expect_json(read.expect(200)?)?;
        ensure!(read == note, "posted as {note}, read as {read}");
        let listed = expect_json(web.client.get("/notes?limit=1")?.expect(200)?)?;
        ensure!(listed == json!([note]), "posted as {note}, listed as {listed}");
    }
    Ok(())
}

fn expect_now_in_utc(created: &Value) -> Result<()> {
    let text = created.as_str().context("created_at is no text")?;
    ensure!(text.ends_with('Z') || text.ends_with("+00:00"), "created_at is not in UTC: {text}");
    let created: Timestamp = text.parse().with_context(|| format!("{text} is not RFC 3339"))?;
    let created = SystemTime::from(created);
    let now = SystemTime::now();
    let apart = now.duration_since(created).or_else(|_| created.duration_since(now))?;
    ensure!(apart < Duration::from_mins(1), "created_at is {apart:?} from now: {text}");
    Ok(())
}

fn words_are_counted(case: &Case) -> Result<()> {
    let client = case.shared()?;
    for (body, words) in [("one", 1), ("one two", 2), ("  three  spaced\n\twords ", 3)] {
        let id = post_note(client, body)?;
        wait_for_count(client, id, words, SOON)?;
    }
    Ok(())
}

fn recounts(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let mut ids = Vec::new();
    for body in ["one", "one two", "one two three", "  spaced \t out\nwords  "] {
        ids.push((web.post_note(body)?, body.split_whitespace().count() as u64));
    }
    // Two counts that are wrong, two that are missing.
    let table = case.item_table()?;
    stage
        .database()?
        .query(&format!("UPDATE {table} SET word_count = 99 WHERE id <= {}", ids[1].0))?;
    let (exit, process) = stage.starter.run("recount", &stage.variables)?;
    ensure!(exit.is_zero(), "recount ended with {exit}: {}", process.text());
    for (id, words) in ids {
        web.wait_for_count(id, words)?;
    }
    web.process.end()
}

fn length_is_in_characters(case: &Case) -> Result<()> {
    let client = case.shared()?;
    let longest = "\u{1f980}".repeat(10_000);
    let note = client.post("/notes", &json!({ "body": longest }))?;
    let note = note.expect(201)?.json()?;
    let read = client.get(&format!("/notes/{}", note["id"]))?.expect(200)?.json()?;
    ensure!(read["body"] == longest.as_str(), "10,000 characters came back changed");
    client
        .post("/notes", &json!({ "body": format!("{longest}\u{1f980}") }))?
        .expect_problem(422)?;
    client.post("/notes", &json!({ "body": "a".repeat(10_000) }))?.expect(201)?;
    client.post("/notes", &json!({ "body": "a".repeat(10_001) }))?.expect_problem(422)?;
    Ok(())
}

fn wrong_type(case: &Case) -> Result<()> {
    let client = case.shared()?;
    let bodies = [
        json!({}),
        json!({ "text": "of another name" }),
        json!({ "body": "" }),
        json!({ "body": null }),
        json!({ "body": 7 }),
        json!({ "body": 1.5 }),
        json!({ "body": true }),
        json!({ "body": ["a list"] }),
        json!({ "body": { "an": "object" } }),
        json!(["body"]),
        json!("body"),
        json!(7),
        json!(null),
        json!(true),
    ];
    for body in bodies {
        client.post("/notes", &body)?.expect_problem(422)?;
    }
    Ok(())
}

fn malformed_body(case: &Case) -> Result<()> {
    let client = case.shared()?;
    let bodies: [&[u8]; 9] = [
        b"{",
        b"{\"body\": \"x\"",
        b"{\"body\": \"x\"} and more",
        b"{'body': 'x'}",
        b"{body: \"x\"}",
        b"{\"body\": \"\xff\xfe\"}",
        b"\xff\xfe{\"body\"",
        b"{\"body\": \"\\x\"}",
        b"{\"body\": \"a raw \n line break\"}",
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(body).into_owned();
        client
            .send(&Request::post_bytes("/notes", body))?
            .expect_problem(400)
            .with_context(|| format!("for the body {shown:?}"))?;
    }
    // No body at all is malformed to some, and of the wrong length to others: the contract leaves it open.
    let nothing = client.send(&Request::post_bytes("/notes", ""))?;
    nothing.expect_one_of(&[400, 422])?.expect_problem(nothing.status)?;
    Ok(())
}

fn hostile_json(case: &Case) -> Result<()> {
    let client = case.shared()?;
    let bodies: Vec<Vec<u8>> = vec![
        br#"{"body": "a\u0000b"}"#.to_vec(),
        br#"{"body": "\u0000"}"#.to_vec(),
        br#"{"body": "\ud800"}"#.to_vec(),
        br#"{"body": "\udc00\ud800 swapped"}"#.to_vec(),
        br#"{"\ud800": 1, "body": "x"}"#.to_vec(),
        br#"{"body": 7, "\ud800": 1}"#.to_vec(),
        br#"{"\u0000": 7}"#.to_vec(),
        br#"{"body": NaN}"#.to_vec(),
        br#"{"body": "x", "more": Infinity}"#.to_vec(),
        br#"{"body": 1e400}"#.to_vec(),
        br#"{"body": "x", "body": 7}"#.to_vec(),
        format!("{{\"body\": {}}}", "9".repeat(6_000)).into_bytes(),
        format!("{{\"body\": \"x\", \"more\": {}}}", "9".repeat(6_000)).into_bytes(),
        "[".repeat(100_000).into_bytes(),
        format!("{{\"body\": {}{}}}", "[".repeat(50_000), "]".repeat(50_000)).into_bytes(),
        format!(
            "{{\"body\": \"x\", \"more\": {}{}}}",
            "{\"a\":".repeat(20_000),
            "}".repeat(20_000)
        )
        .into_bytes(),
        "\u{feff}{\"body\": \"after a byte order mark\"}".as_bytes().to_vec(),
    ];
    for body in bodies {
        for target in ["/notes", "/session"] {
            let answer = client.send(&Request::post_bytes(target, body.clone()))?;
            expect_no_server_error(&answer)?;
            if answer.status == 201 {
                // What was taken must also be given back.
                expect_kept(client, target, &answer)?;
            }
        }
    }
    // Half a character is no text at all: nothing that could be stored.
    client
        .send(&Request::post_bytes("/notes", r#"{"body": "\ud800"}"#))?
        .expect_one_of(&[400, 422])?;
    Ok(())
}

fn expect_kept(client: &Client, target: &str, answer: &Answer) -> Result<()> {
    let read = if target == "/session" {
        let cookie = answer.cookie().context("no cookie")?;
        client.with_cookie(cookie).get("/session")?
    } else {
        let id = answer.json()?["id"].clone();
        let read = client.get(&format!("/notes/{id}"))?;
        ensure!(read.json()?["body"] == answer.json()?["body"], "{answer} was read as {read}");
        read
    };
    read.expect(200).map(|_| ())
}

/// A note in so many bytes of JSON, filled up with blanks.
fn padded(bytes: usize) -> Vec<u8> {
    let mut body = br#"{"body": "x""#.to_vec();
    body.resize(bytes - 1, b' ');
    body.push(b'}');
    body
}

const MEBIBYTE: usize = 1024 * 1024;

fn size_limit(case: &Case) -> Result<()> {
    let client = case.shared()?;
    client
        .send(&Request::post_bytes("/notes", padded(MEBIBYTE)))?
        .expect(201)
        .context("a body of exactly 1 MiB")?;
    for size in [MEBIBYTE + 1, 3 * MEBIBYTE] {
        for target in ["/notes", "/session"] {
            client
                .send(&Request::post_bytes(target, padded(size)))?
                .expect_problem(413)
                .with_context(|| format!("a body of {size} bytes to {target}"))?;
        }
    }
    Ok(())
}

fn chunked(chunks: &[Vec<u8>]) -> Request {
    let mut body = Vec::new();
    for chunk in chunks {
        body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        body.extend(chunk);
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\n\r\n");
    Request::post_bytes("/notes", body).header("Transfer-Encoding", "chunked")
}

fn chunked_size_limit(case: &Case) -> Result<()> {
    let client = case.shared()?;
    let split =
        |body: Vec<u8>| -> Vec<Vec<u8>> { body.chunks(60_000).map(<[u8]>::to_vec).collect() };
    client.send(&chunked(&split(padded(5_000))))?.expect(201)?;
    client.send(&chunked(&split(padded(MEBIBYTE))))?.expect(201)?;
    client.send(&chunked(&split(padded(MEBIBYTE + 1))))?.expect_problem(413)?;
    client.send(&chunked(&split(padded(4 * MEBIBYTE))))?.expect_problem(413)?;
    Ok(())
}

fn endless_body(case: &Case) -> Result<()> {
    const ANNOUNCED: usize = 1024 * MEBIBYTE;
    const SENT: usize = 32 * MEBIBYTE;
    // Some read a little more than they need, so that the client sees the answer; none may wait for all of it.
    let request =
        Request::post_bytes("/notes", padded(SENT)).header("Content-Length", ANNOUNCED.to_string());
    let answer = case.shared()?.send(&request)?;
    answer.expect_problem(413).map(|_| ())
}

fn other_content_types(case: &Case) -> Result<()> {
    let client = case.shared()?;
    let kinds = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=utf-16",
        "application/json; charset=nonsense",
        "nonsense",
        ";;;",
        "",
    ];
    for kind in kinds {
        for target in ["/notes", "/session"] {
            for body in [&b"{\"body\": \"x\", \"name\": \"x\"}"[..], b"name=x&body=x", b"\xff\xfe"]
            {
                let request = Request::new("POST", target).header("Content-Type", kind).body(body);
                expect_no_server_error(&client.send(&request)?)?;
            }
        }
    }
    let request = Request::new("POST", "/notes").body("{\"body\": \"x\"}");
    expect_no_server_error(&client.send(&request)?)
}

fn no_such_note(case: &Case) -> Result<()> {
    let client = case.shared()?;
    for id in ["2147483647", "2147483648", "4294967296", "9007199254740993", "9223372036854775807"]
    {
        client.get(&format!("/notes/{id}"))?.expect_problem(404)?;
    }
    Ok(())
}

fn hostile_ids(case: &Case) -> Result<()> {
    let client = case.shared()?;
    let id = post_note(client, "a note")?;
    let huge = "9".repeat(3_000);
    let ids = [
        "0",
        "-1",
        "-9223372036854775808",
        "9223372036854775808",
        "18446744073709551616",
        &huge,
        "abc",
        "1.5",
        "1e3",
        "0x1",
        "%00",
        "1%00",
        "%FF",
        "%F0%9F%A6%80",
        "%D9%A1",
        "null",
        "NaN",
        "1;2",
        "1'",
        "..%2f..",
        "%2e%2e",
    ];
    for id in ids {
        let answer = client.get(&format!("/notes/{id}"))?;
        expect_no_server_error(&answer)?;
        ensure!((400..500).contains(&answer.status) || answer.status == 200, "{answer}");
    }
    for id in ["0", "-1", "9223372036854775808", "abc", "1.5"] {
        client.get(&format!("/notes/{id}"))?.expect_one_of(&[404, 400, 422])?;
    }
    client.get(&format!("/notes/{id}"))?.expect(200)?;
    Ok(())
}

fn ids_of(answer: &Answer) -> Result<Vec<i64>> {
    let notes = expect_json(answer.expect(200)?)?;
    let notes = notes.as_array().context("no array")?;
    notes.iter().map(|note| note["id"].as_i64().context("a note without an id")).collect()
}

fn pages(case: &Case) -> Result<()> {
    // Others would post in between.
    let stage = case.stage()?;
    let web = stage.web()?;
    ensure!(ids_of(&web.client.get("/notes")?)?.is_empty(), "there are notes in a new database");
    let mut newest_first = Vec::new();
    for _ in 0..105 {
        newest_first.insert(0, web.post_note("a note")?);
    }
    let list = |target: &str| -> Result<Vec<i64>> { ids_of(&web.client.get(target)?) };
    let expect = |target: &str, expected: &[i64]| -> Result<()> {
        let ids = list(target)?;
        ensure!(ids == expected, "{target} gives {ids:?}, not {expected:?}");
        Ok(())
    };
    expect("/notes", &newest_first[..20])?;
    expect("/notes?limit=1", &newest_first[..1])?;
    expect("/notes?limit=100", &newest_first[..100])?;
    expect(&format!("/notes?limit=3&before={}", newest_first[9]), &newest_first[10..13])?;
    expect(&format!("/notes?before={}", newest_first[104]), &[])?;
    expect("/notes?before=9223372036854775807&limit=2", &newest_first[..2])?;
    let mut walked = Vec::new();
    let mut target = "/notes?limit=7".to_owned();
    loop {
        let page = list(&target)?;
        let Some(oldest) = page.last() else { break };
        target = format!("/notes?limit=7&before={oldest}");
        walked.extend(page);
        if walked.len() > newest_first.len() {
            bail!("page by page, notes come twice");
        }
    }
    ensure!(walked == newest_first, "page by page, not all notes come in their order");
    Ok(())
}

fn hostile_pages(case: &Case) -> Result<()> {
    let client = case.shared()?;
    post_note(client, "a note")?;
    for limit in ["0", "101", "-1", "abc", "1.5", "9223372036854775808", "%00", "NaN"] {
        client
            .get(&format!("/notes?limit={limit}"))?
            .expect_one_of(&[400, 422])
            .with_context(|| format!("limit={limit}"))?;
    }
    for before in ["abc", "1.5", "%00"] {
        client
            .get(&format!("/notes?before={before}"))?
            .expect_one_of(&[400, 422])
            .with_context(|| format!("before={before}"))?;
    }
    let huge = "9".repeat(4_000);
    let queries = [
        "limit=",
        "before=",
        "before=0",
        "before=-1",
        "before=-9223372036854775809",
        "before=9223372036854775807",
        "before=9223372036854775808",
        "before=99999999999999999999999999",
        "limit=1&limit=2",
        "before=1&before=x",
        "limit=%FF",
        "before=%ED%A0%80",
        "limit[]=1",
        "&&&=&",
        "unknown=1",
        "%00=%00",
        &format!("before={huge}"),
    ];
    for query in queries {
        expect_no_server_error(&client.get(&format!("/notes?{query}"))?)?;
    }
    Ok(())
}

fn wrong_places(case: &Case) -> Result<()> {
    let client = case.shared()?;
    for target in ["/nowhere", "/notes/1/more", "/index.html", "/%00", "/%FF", "//", "/.env"] {
        let answer = client.get(target)?;
        answer.expect_problem(404).with_context(|| format!("for {target}"))?;
    }
    let wrong = [
        ("PUT", "/notes"),
        ("DELETE", "/notes"),
        ("PATCH", "/notes/1"),
        ("DELETE", "/notes/1"),
        ("POST", "/"),
        ("POST", "/livez"),
        ("PUT", "/session"),
    ];
    for (method, target) in wrong {
        let answer = client.send(&Request::new(method, target))?;
        answer.expect_problem(405).with_context(|| format!("{method} {target}"))?;
        ensure!(answer.header("Allow").is_some(), "a 405 without Allow: {answer}");
    }
    for (method, target) in
        [("HEAD", "/"), ("OPTIONS", "/"), ("OPTIONS", "*"), ("TRACE", "/"), ("BREW", "/notes")]
    {
        let answer = client.send(&Request::new(method, target))?;
        ensure!(answer.status < 500 || answer.status == 501, "{method} {target} got {answer}");
    }
    for target in ["/notes/", "/session/", "/livez/"] {
        let answer = client.get(target)?;
        ensure!(answer.status < 500, "{answer}");
    }
    Ok(())
}

fn request_ids(case: &Case) -> Result<()> {
    let client = case.shared()?;
    let id_of = |request: &Request| -> Result<Option<String>> {
        Ok(client.send(request)?.header("X-Request-Id").map(str::to_owned))
    };
    for target in ["/", "/livez", "/notes", "/nowhere", "/session", "/notes/abc"] {
        let sent = format!("taken{}", target.replace('/', "-"));
        let got = id_of(&Request::get(target).header("X-Request-Id", sent.as_str()))?;
        ensure!(
            got.as_deref() == Some(sent.as_str()),
            "{target} got the id {sent} and returned {got:?}"
        );
        let made = id_of(&Request::get(target))?.with_context(|| format!("{target} made no id"))?;
        let another = id_of(&Request::get(target))?;
        ensure!(
            !made.is_empty() && Some(&made) != another.as_ref(),
            "{target} made the id {made:?} twice"
        );
    }
    // Errors found before or outside the routes bear one too.
    let refused = [
        Request::post_bytes("/notes", "{"),
        Request::post_bytes("/notes", padded(MEBIBYTE + 1)),
        Request::new("PUT", "/notes"),
    ];
    for request in refused {
        ensure!(id_of(&request)?.is_some(), "an error came without an X-Request-Id");
    }
    for hostile in [&b""[..], b"\xff\xfe", b"a b\tc", b"<script>", &b"x".repeat(5_000)] {
        let answer = client.send(&Request::get("/").header("X-Request-Id", hostile))?;
        ensure!(answer.status < 500, "{answer}");
    }
    Ok(())
}

fn hardly_http(case: &Case) -> Result<()> {
    let client = case.shared()?;
    let long = "x".repeat(100_000);
    let requests: Vec<Vec<u8>> = vec![
        b"\r\n\r\n".to_vec(),
        b"garbage\r\n\r\n".to_vec(),
        b"\x00\x01\x02\xff\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"GET /notes HTTP/1.0\r\n\r\n".to_vec(),
        b"GET \xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        b"GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: \xff\"<>\r\nConnection: close\r\n\r\n".to_vec(),
        b"POST /notes HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n".to_vec(),
        b"POST /notes HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_vec(),
        b"POST /notes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n".to_vec(),
        b"POST /notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}".to_vec(),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\nConnection: close\r\n\r\n").into_bytes(),
    ];
    for request in requests {
        let shown: String = String::from_utf8_lossy(&request).chars().take(80).collect();
        let mut connection = client.connect()?;
        // A server may close the door on such a request instead of answering it.
        let _ = connection.send_bytes(&request);
        let _ = connection.finish_sending();
        if let Ok(answer) = connection.receive() {
            ensure!(
                answer.status < 500 || [501, 505].contains(&answer.status),
                "{shown:?} got {answer}"
            );
        }
        client.get("/livez")?.expect(200)?;
    }
    Ok(())
}
