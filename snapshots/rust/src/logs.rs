//! The log: every event of every library one JSON object on stdout, and nothing on stderr.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{self, Write as _};
use std::panic::{self, PanicHookInfo};

use chrono::{SecondsFormat, Utc};
use serde::Serializer as _;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber, error};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::settings::InvalidSettings;

pub fn init(level: LevelFilter) {
    // There PostgreSQL notes each table that it was not to create, for it is there.
    let levels = Targets::new().with_default(level);
    let levels = levels.with_target("sqlx::postgres::notice", level.min(LevelFilter::WARN));
    tracing_subscriber::registry().with(levels).with(JsonLines).init();
    panic::set_hook(Box::new(log_panic));
}

/// Says what is wrong with the configuration; the log is not up yet, for its level is a part of that.
pub fn refuse(invalid: &InvalidSettings) {
    let fields = [("errors", Value::from(invalid.errors.clone()))];
    write_line(Level::ERROR, "invalid configuration", module_path!(), fields);
}

fn log_panic(panic: &PanicHookInfo) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let location = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    error!(error = message, location, backtrace, "panicked");
}

struct JsonLines;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(inherited) = span.extensions().get::<Fields>() {
                fields.rest.extend(inherited.rest.iter().cloned());
            }
        }
        let metadata = event.metadata();
        write_line(*metadata.level(), &fields.message, metadata.target(), fields.rest);
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, Value)>,
}

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.rest.push((field.name(), value.into()));
    }

    fn insert_text(&mut self, field: &Field, text: String) {
        if field.name() == "message" {
            self.message = text;
        } else {
            self.insert(field, text);
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert_text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert_text(field, format!("{value:?}"));
    }
}

fn write_line(
    level: Level,
    message: &str,
    logger: &str,
    fields: impl IntoIterator<Item = (&'static str, Value)>,
) {
    let level = match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        _ => "debug",
    };
    let timestamp = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let head = [
        ("timestamp", timestamp.into()),
        ("level", level.into()),
        ("message", message.into()),
        ("logger", logger.into()),
    ];
    let mut line = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::new(&mut line);
    // Neither can fail for texts and numbers in memory; and where stdout is gone nobody is left to tell.
    let _ = serializer.collect_map(head.into_iter().chain(fields));
    line.push(b'\n');
    let _ = io::stdout().lock().write_all(&line);
}
