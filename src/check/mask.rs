//! Keeps secrets out of everything that is printed.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

const MASK: &str = "•••";
/// Shorter than this, a value is a word like any other: masking it everywhere would hide the code.
const SHORTEST: usize = 5;

/// Names of engines and of their users, which samples take for the password too: they are hidden in its place, and not
/// where they name the engine.
const COMMON: [&str; 8] =
    ["postgres", "postgresql", "mysql", "mariadb", "redis", "mongo", "mongodb", "rabbitmq"];

/// Where a place alone tells that a value is secret; the group `value` is what is hidden.
static PLACES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // scheme://user:password@
        r"\w://[^\s:/@'\x22]*:(?P<value>[^\s@'\x22]+)@",
        // SECRET_KEY = 'value', "password": "value"
        r#"(?i)(?:secret|passw(?:or)?d|passphrase|token|api_?key|private_?key|access_?key|credential|salt|pwd)[\w.-]*["'\]]*\s*(?:=>|=|:)\s*[brfu]?["'`](?P<value>[^"'`\n]+)"#,
        // TOKEN=value
        r"(?i)\b[\w-]*(?:secret|passw(?:or)?d|token|api_?key|private_?key|access_?key|pwd)[\w-]*\s*[=:]\s*(?P<value>[^\s\x22'`$(){}\[\]<>,;&|=]{4,})",
        // Long runs of letters and digits, as keys are.
        r"(?P<value>\b(?:[A-Za-z]+[0-9]|[0-9]+[A-Za-z])[A-Za-z0-9_/+=-]{22,})",
    ]
    .into_iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

/// What code reads a value from, which is none itself.
const READERS: [&str; 14] = [
    "process.",
    "os.",
    "config",
    "env",
    "self.",
    "this.",
    "settings",
    "req",
    "str",
    "String",
    "SecretStr",
    "None",
    "null",
    "undefined",
];

/// The values that were found to be secret.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// The longest first, so that none is left over in part.
    values: Vec<String>,
}

impl Secrets {
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let long = values
            .into_iter()
            .filter(|value| value.chars().count() >= SHORTEST && !COMMON.contains(&value.as_str()));
        let mut values: Vec<String> = long.collect::<BTreeSet<_>>().into_iter().collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    /// The text with every secret in it masked.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for value in &self.values {
            if masked.contains(value.as_str()) {
                masked = masked.replace(value.as_str(), MASK);
            }
        }
        for pattern in PLACES.iter() {
            masked = pattern.replace_all(&masked, hide_value).into_owned();
        }
        masked
    }
}

/// What a place matched, with its value masked.
fn hide_value(found: &Captures<'_>) -> String {
    let (Some(whole), Some(value)) = (found.get(0), found.name("value")) else {
        return MASK.to_owned();
    };
    let text = whole.as_str();
    let (start, end) = (value.start() - whole.start(), value.end() - whole.start());
    // The address of a page to reset a password has the word in its name too; what is secret in one has a place of its own.
    let is_address = value.as_str().starts_with("http") && {
        let name = text[..start].to_ascii_lowercase();
        ["url", "uri", "link"].iter().any(|word| name.contains(word))
    };
    if is_address || READERS.iter().any(|reader| value.as_str().starts_with(reader)) {
        return text.to_owned();
    }
    format!("{}{MASK}{}", &text[..start], &text[end..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_is_hidden_where_its_place_tells() {
        let secrets = Secrets::default();
        for (text, hidden) in [
            ("SECRET_KEY = 'canary-1'", "SECRET_KEY = '•••'"),
            ("DATABASE_URL=postgres://user:canary@db/x", "DATABASE_URL=postgres://user:•••@db/x"),
            ("  \"password\": \"canary\",", "  \"password\": \"•••\","),
            ("API_TOKEN=canary", "API_TOKEN=•••"),
            ("app.config['SECRET_KEY'] = \"canary\"", "app.config['SECRET_KEY'] = \"•••\""),
            ("secret: process.env.SECRET", "secret: process.env.SECRET"),
            ("resetPasswordUrl = 'https://shop/reset'", "resetPasswordUrl = 'https://shop/reset'"),
            ("TOKEN_URL=https://me:canary@shop/token", "TOKEN_URL=https://me:•••@shop/token"),
        ] {
            assert_eq!(secrets.mask(text), hidden);
        }
    }

    #[test]
    fn what_was_found_secret_is_hidden_everywhere() {
        let secrets = Secrets::new(["hunter22".to_owned()]);
        assert_eq!(secrets.mask("connect('hunter22')"), "connect('•••')");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, value: String) {
            let _ = Secrets::new([value]).mask(&text);
        }
    }
}
