//! The name of a service: its rules, its forms, and a proposal where one breaks a rule.

use deunicode::deunicode;
use heck::{ToKebabCase, ToSnakeCase};
use serde::{Deserialize, Serialize};

/// Longest name, in characters: with what Kubernetes and Heroku append it stays below their 63.
pub const MAX_LENGTH: usize = 40;

/// Words that no service can be called, with the rule that says why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserved {
    pub because: String,
    pub words: Vec<String>,
}

/// A name that can be a folder, a package, an image, a database and a Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Name {
    /// As it was given.
    pub name: String,
    /// `my-shop`
    pub slug: String,
    /// `my_shop`
    pub package: String,
}

/// Which rule a name breaks, and one that breaks none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub rule: String,
    pub proposal: String,
}

impl Name {
    /// Checks `given` against every rule.
    ///
    /// # Errors
    /// The first rule that it breaks, with a name like it that breaks none.
    pub fn parse(given: &str, reserved: &[Reserved]) -> Result<Self, Rejection> {
        match find_broken_rule(given, reserved) {
            None => Ok(Self::form(given)),
            Some(rule) => Err(Rejection { rule, proposal: propose(given, reserved) }),
        }
    }

    /// The forms of any text, kept rules or not.
    #[must_use]
    pub fn form(given: &str) -> Self {
        Self { name: given.to_owned(), slug: given.to_kebab_case(), package: given.to_snake_case() }
    }
}

fn find_broken_rule(given: &str, reserved: &[Reserved]) -> Option<String> {
    let letter_or_digit = |c: char| c.is_ascii_alphanumeric();
    let says = |rule: &str| Some(rule.to_owned());

    if given.trim().is_empty() {
        return says("it is empty");
    }
    if given.contains(['/', '\\']) || given == "." || given == ".." {
        return says("it is a path; `--into` takes the folder, the name is one word");
    }
    if let Some(strange) = given.chars().find(|c| !c.is_ascii()) {
        return Some(format!(
            "`{}` is not one of the letters a to z, digits, `-` and `_`",
            strange.escape_debug()
        ));
    }
    if !given.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return says("it does not start with a letter");
    }
    if let Some(strange) = given.chars().find(|&c| !letter_or_digit(c) && c != '-' && c != '_') {
        return Some(format!("`{}` is not a letter, a digit, `-` or `_`", strange.escape_debug()));
    }
    if !given.ends_with(letter_or_digit) {
        return says("it does not end with a letter or a digit");
    }
    if given
        .as_bytes()
        .windows(2)
        .any(|pair| !pair[0].is_ascii_alphanumeric() && !pair[1].is_ascii_alphanumeric())
    {
        return says("it has two separators in a row");
    }
    let name = Name::form(given);
    if given.len() > MAX_LENGTH || name.slug.len() > MAX_LENGTH {
        return Some(format!("it is longer than {MAX_LENGTH} characters"));
    }
    let is_taken = |word: &str| name.package == word || name.slug == word;
    reserved
        .iter()
        .find(|group| group.words.iter().any(|word| is_taken(word)))
        .map(|group| group.because.clone())
}

fn propose(given: &str, reserved: &[Reserved]) -> String {
    let last = given.rsplit(['/', '\\']).find(|part| !part.is_empty());
    let mut slug = deunicode(last.unwrap_or_default()).to_kebab_case();
    slug.retain(|c| c.is_ascii_alphanumeric() || c == '-');
    let slug = slug.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    let slug = shorten(slug, MAX_LENGTH);

    [slug.to_owned(), format!("{}-service", shorten(slug, MAX_LENGTH - "-service".len()))]
        .into_iter()
        .find(|candidate| find_broken_rule(candidate, reserved).is_none())
        .unwrap_or_else(|| "my-service".to_owned())
}

fn shorten(slug: &str, length: usize) -> &str {
    slug.get(..length.min(slug.len())).unwrap_or_default().trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reserved() -> Vec<Reserved> {
        vec![
            Reserved { because: "it is a keyword".into(), words: vec!["class".into()] },
            Reserved { because: "it is a device".into(), words: vec!["con".into()] },
        ]
    }

    #[test]
    fn forms_follow_the_name() {
        for (given, slug, package) in [
            ("shop", "shop", "shop"),
            ("Shop", "shop", "shop"),
            ("shop_api", "shop-api", "shop_api"),
            ("my-shop-2", "my-shop-2", "my_shop_2"),
        ] {
            let name = Name::parse(given, &[]).unwrap();
            assert_eq!((name.slug.as_str(), name.package.as_str()), (slug, package));
            assert_eq!(name.name, given);
        }
    }

    #[test]
    fn a_broken_rule_is_named_and_a_name_proposed() {
        let long = "x".repeat(300);
        let cut = "x".repeat(MAX_LENGTH);
        for (given, rule, proposal) in [
            ("", "empty", "my-service"),
            ("../x", "path", "x"),
            ("/etc/shop", "path", "shop"),
            ("..", "path", "my-service"),
            ("-shop", "start with a letter", "shop"),
            ("2shop", "start with a letter", "shop"),
            ("shop-", "end with", "shop"),
            ("my--shop", "two separators", "my-shop"),
            ("Café", "`é`", "cafe"),
            ("my shop", "` `", "my-shop"),
            ("shop.v2", "`.`", "shop-v2"),
            ("class", "it is a keyword", "class-service"),
            ("Class", "it is a keyword", "class-service"),
            ("con", "it is a device", "con-service"),
            (&long, "longer than 40", &cut),
        ] {
            let rejection = Name::parse(given, &reserved()).unwrap_err();
            assert!(rejection.rule.contains(rule), "{given}: {}", rejection.rule);
            assert_eq!(rejection.proposal, proposal, "{given}");
        }
    }

    proptest! {
        #[test]
        fn every_proposal_keeps_every_rule(given in any::<String>()) {
            if let Err(rejection) = Name::parse(&given, &reserved()) {
                prop_assert!(Name::parse(&rejection.proposal, &reserved()).is_ok());
            }
        }

        #[test]
        fn every_form_of_a_name_is_safe(given in "[A-Za-z][A-Za-z0-9_-]{0,40}") {
            if let Ok(name) = Name::parse(&given, &[]) {
                prop_assert!(name.slug.len() <= MAX_LENGTH);
                prop_assert!(name.slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                prop_assert!(name.package.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
                prop_assert_eq!(name.slug.replace('-', "_"), name.package);
            }
        }
    }
}
