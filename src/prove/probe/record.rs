//! Reads a line of a log as the record of an event, by the names and forms that logging libraries give its parts.

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;

/// The contract's own name comes first.
const MESSAGE: [&str; 5] = ["message", "msg", "event", "short_message", "text"];
const LEVEL: [&str; 6] = ["level", "severity", "levelname", "lvl", "log.level", "log_level"];
const TIMESTAMP: [&str; 7] =
    ["timestamp", "time", "ts", "@timestamp", "datetime", "date", "asctime"];
const LEVELS: [&str; 12] = [
    "trace",
    "debug",
    "info",
    "information",
    "notice",
    "warning",
    "warn",
    "error",
    "err",
    "critical",
    "fatal",
    "panic",
];
/// What pino and bunyan write for a level.
const NUMBERS: [(i64, &str); 6] =
    [(10, "trace"), (20, "debug"), (30, "info"), (40, "warning"), (50, "error"), (60, "fatal")];

fn member<'v>(record: &'v Value, names: &[&str]) -> Option<&'v Value> {
    names.iter().find_map(|name| record.get(name))
}

/// The level, in small letters.
#[must_use]
pub fn level(record: &Value) -> Option<String> {
    match member(record, &LEVEL)? {
        Value::String(level) => Some(level.to_lowercase()),
        Value::Number(number) => {
            let number = number.as_i64()?;
            NUMBERS.iter().find(|(known, _)| *known == number).map(|(_, level)| (*level).to_owned())
        }
        _ => None,
    }
}

/// Whether it tells of an error.
#[must_use]
pub fn is_error(record: &Value) -> bool {
    level(record).is_some_and(|level| {
        ["error", "err", "critical", "fatal", "panic"].contains(&level.as_str())
    })
}

/// Checks what every record has, and gives the time of its event.
pub fn read(record: &Value) -> Result<Timestamp> {
    // tracing puts what an event says among its fields.
    let message = member(record, &MESSAGE).or_else(|| member(record.get("fields")?, &MESSAGE));
    message.context("it has no message (`message`, `msg`, `event`)")?;
    let level = level(record).context("it has no level (`level`, `severity`)")?;
    ensure!(LEVELS.contains(&level.as_str()), "its level is {level:?}");
    let timestamp =
        member(record, &TIMESTAMP).context("it has no time (`timestamp`, `time`, `ts`)")?;
    match timestamp {
        Value::String(text) => text.parse().with_context(|| {
            format!("its time {text:?} is not RFC 3339, with its offset from UTC")
        }),
        Value::Number(number) => from_epoch(number.as_f64().unwrap_or_default())
            .context("its time is no time since 1970"),
        other => anyhow::bail!("its time is {other}"),
    }
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970: only one of them is in this century.
#[expect(clippy::cast_possible_truncation, reason = "the time of a log line, in microseconds")]
fn from_epoch(number: f64) -> Option<Timestamp> {
    const CENTURY: std::ops::Range<f64> = 9e8..4.2e9;
    let seconds = [1.0, 1e3, 1e6, 1e9]
        .into_iter()
        .map(|part| number / part)
        .find(|it| CENTURY.contains(it))?;
    Timestamp::from_microsecond((seconds * 1e6) as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_of_common_libraries_are_read() {
        for line in [
            r#"{"level":30,"time":1764000000123,"pid":1,"msg":"Server listening"}"#,
            r#"{"v":0,"name":"shop","msg":"hi","level":30,"time":"2025-11-24T16:00:00.123Z"}"#,
            r#"{"timestamp":"2025-11-24T16:00:00.123Z","level":"INFO","fields":{"message":"hi"},"target":"shop"}"#,
            r#"{"event":"hi","level":"info","timestamp":"2025-11-24T16:00:00.123+00:00"}"#,
            r#"{"severity":"WARNING","message":"hi","time":"2025-11-24T17:00:00.123+01:00"}"#,
            r#"{"level":"info","ts":1764000000.123,"msg":"hi"}"#,
        ] {
            let time = read(&serde_json::from_str(line).unwrap()).expect(line);
            assert_eq!(time.as_millisecond(), 1_764_000_000_123, "{line}");
        }
    }

    #[test]
    fn what_a_record_lacks_is_said() {
        let lacks = |line| format!("{:#}", read(&serde_json::from_str(line).unwrap()).unwrap_err());
        assert!(lacks(r#"{"level":"info","time":1764000000}"#).contains("no message"));
        assert!(lacks(r#"{"msg":"hi","time":1764000000}"#).contains("no level"));
        assert!(lacks(r#"{"msg":"hi","level":"loud","time":1764000000}"#).contains("loud"));
        assert!(lacks(r#"{"msg":"hi","level":"info"}"#).contains("no time"));
        assert!(lacks(r#"{"msg":"hi","level":"info","time":"16:00:00"}"#).contains("RFC 3339"));
        assert!(lacks(r#"{"msg":"hi","level":"info","time":12}"#).contains("1970"));
    }
}
