//! Owns what holds of every merge, over random documents in random dress.
//!
//! `PROPTEST_CASES=20000 cargo test --release` looks closer.

#![expect(clippy::format_push_string, reason = "a test may allocate")]

use std::path::Path;
use std::{env, fs};

use proptest::prelude::*;

use super::super::text::is_kept;
use super::super::value::expected;
use super::super::{Conflict, Format, merge, read_value};
use super::merge_kind;

const FORMATS: [Format; 3] = [Format::Toml, Format::Json, Format::Yaml];
const KINDS: [&str; 5] = ["toml", "json", "yaml", "patterns", "named"];

/// A document, apart from any format.
#[derive(Debug, Clone, PartialEq)]
enum Data {
    Scalar(u8),
    List(Vec<Data>),
    Map(Vec<(String, Data)>),
}

/// Choices of spelling, from a seed: each call takes the next.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    fn comment(&mut self, margin: &str, mark: &str) -> String {
        match self.roll(8) {
            0 => format!("{margin}{mark} a, b: [c] \"d\"\n"),
            1 => format!("\n{margin}{mark} e\n"),
            2 => "\n".to_owned(),
            3 => format!("{margin}{mark} f\n\n"),
            _ => String::new(),
        }
    }

    fn tail(&mut self, mark: &str) -> String {
        if self.one_in(6) { format!(" {mark} g, h") } else { String::new() }
    }
}

fn any_map(keys: &'static str) -> impl Strategy<Value = Data> {
    let leaf = (0..6_u8).prop_map(Data::Scalar);
    let any = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Data::List),
            prop::collection::vec((keys, inner), 0..4).prop_map(to_map),
        ]
    });
    prop::collection::vec((keys, any), 0..5).prop_map(to_map)
}

fn to_map(entries: Vec<(String, Data)>) -> Data {
    let mut map: Vec<(String, Data)> = Vec::new();
    for (key, data) in entries {
        if map.iter().all(|(other, _)| *other != key) {
            map.push((key, data));
        }
    }
    Data::Map(map)
}

fn scalar(format: Format, scalar: u8, dice: &mut Dice) -> String {
    let yaml = format == Format::Yaml;
    match scalar {
        0 => "0".to_owned(),
        1 => "true".to_owned(),
        2 if yaml && dice.one_in(2) => "it is".to_owned(),
        2 if format != Format::Json && dice.one_in(2) => "'it is'".to_owned(),
        2 => "\"it is\"".to_owned(),
        3 => "\"# no, [comment]: {x}\"".to_owned(),
        4 => "\"\"".to_owned(),
        _ => "\"two\\nlines\"".to_owned(),
    }
}

/// On one line.
fn inline(format: Format, data: &Data, dice: &mut Dice) -> String {
    let colon = if format == Format::Toml { " = " } else { ": " };
    match data {
        Data::Scalar(value) => scalar(format, *value, dice),
        Data::List(items) => {
            let items: Vec<_> = items.iter().map(|item| inline(format, item, dice)).collect();
            let tail = if !items.is_empty() && dice.one_in(4) { "," } else { "" };
            format!("[{}{tail}]", items.join(if dice.one_in(3) { "," } else { ", " }))
        }
        Data::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, data)| {
                    format!("{}{colon}{}", write_key(format, key), inline(format, data, dice))
                })
                .collect();
            let pad = if dice.one_in(2) { " " } else { "" };
            format!("{{{pad}{}{pad}}}", entries.join(", "))
        }
    }
}

fn write_key(format: Format, key: &str) -> String {
    if format == Format::Json { format!("\"{key}\"") } else { key.to_owned() }
}

/// Between brackets, on many lines.
fn bracketed(format: Format, data: &Data, margin: &str, unit: &str, dice: &mut Dice) -> String {
    let mark = if format == Format::Json { "//" } else { "#" };
    let colon = if format == Format::Toml { " = " } else { ": " };
    let (open, close, children): (_, _, Vec<(String, &Data)>) = match data {
        Data::List(items) => ("[", "]", items.iter().map(|item| (String::new(), item)).collect()),
        Data::Map(entries) if format != Format::Toml => {
            let key = |key: &String| write_key(format, key) + colon;
            ("{", "}", entries.iter().map(|(name, data)| (key(name), data)).collect())
        }
        _ => return inline(format, data, dice),
    };
    if dice.one_in(3) {
        return inline(format, data, dice);
    }
    let deeper = format!("{margin}{unit}");
    let mut text = format!("{open}{}\n", dice.tail(mark));
    for (index, (key, child)) in children.iter().enumerate() {
        text += &dice.comment(&deeper, mark);
        let child = bracketed(format, child, &deeper, unit, dice);
        let comma = if index + 1 < children.len() || dice.one_in(3) { "," } else { "" };
        text += &format!("{deeper}{key}{child}{comma}{}\n", dice.tail(mark));
    }
    text += &dice.comment(&deeper, mark);
    format!("{text}{margin}{close}")
}

fn write_json(data: &Data, unit: &str, dice: &mut Dice) -> String {
    let head = dice.comment("", "//");
    format!("{head}{}\n", bracketed(Format::Json, data, "", unit, dice))
}

fn write_toml(table: &Data, path: &str, unit: &str, dice: &mut Dice) -> String {
    let Data::Map(entries) = table else {
        return String::new();
    };
    let (mut keys, mut tables) = (String::new(), String::new());
    for (key, data) in entries {
        let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match data {
            Data::Map(_) if dice.one_in(2) => {
                let body = write_toml(data, &inner, unit, dice);
                let is_implied = body.starts_with('[') && dice.one_in(2);
                let head = dice.comment("", "#");
                if is_implied {
                    tables += &body;
                } else {
                    tables += &format!("{head}[{inner}]{}\n{body}", dice.tail("#"));
                }
            }
            Data::Map(inner) if !inner.is_empty() && dice.one_in(2) => {
                for (name, data) in inner {
                    keys += &dice.comment("", "#");
                    keys += &format!(
                        "{key}.{name} = {}\n",
                        bracketed(Format::Toml, data, "", unit, dice)
                    );
                }
            }
            Data::List(items)
                if !items.is_empty()
                    && items.iter().all(|item| matches!(item, Data::Map(_)))
                    && dice.one_in(2) =>
            {
                for item in items {
                    tables += &format!("{}[[{inner}]]\n", dice.comment("", "#"));
                    tables += &write_toml(item, &inner, unit, dice);
                }
            }
            _ => {
                let value = bracketed(Format::Toml, data, "", unit, dice);
                keys += &format!("{}{key} = {value}{}\n", dice.comment("", "#"), dice.tail("#"));
            }
        }
    }
    keys + &tables
}

/// How a YAML file is written throughout.
#[derive(Debug, Clone, Copy)]
struct Yaml {
    unit: usize,
    list: usize,
    plain: bool,
}

fn write_yaml(data: &Data, column: usize, style: Yaml, dice: &mut Dice) -> String {
    let margin = " ".repeat(column);
    let mut text = String::new();
    let decorate = |dice: &mut Dice| {
        if style.plain { String::new() } else { dice.comment(&margin, "#") }
    };
    match data {
        Data::Scalar(_) => {}
        Data::List(items) => {
            for item in items {
                text += &decorate(dice);
                let inner = write_yaml(item, column + 2, style, dice);
                text += &match item {
                    Data::Scalar(5) => format!("{margin}- |\n{margin}    two\n{margin}    lines\n"),
                    _ if inner.trim_start().is_empty()
                        || inner.trim_start().starts_with('#')
                        || inner.starts_with('\n') =>
                    {
                        format!("{margin}- {}\n", inline(Format::Yaml, item, dice))
                    }
                    _ => format!("{margin}- {}", inner.trim_start()),
                };
            }
        }
        Data::Map(entries) => {
            for (key, data) in entries {
                text += &decorate(dice);
                let step = if matches!(data, Data::List(_)) { style.list } else { style.unit };
                let inner = write_yaml(data, column + step, style, dice);
                let tail = if style.plain { String::new() } else { dice.tail("#") };
                let deeper = " ".repeat(column + style.unit);
                text += &match data {
                    Data::Scalar(5) => format!("{margin}{key}: |\n{deeper}two\n{deeper}  lines\n"),
                    _ if inner.is_empty() || (!style.plain && dice.one_in(4)) => {
                        format!("{margin}{key}: {}{tail}\n", inline(Format::Yaml, data, dice))
                    }
                    _ => format!("{margin}{key}:{tail}\n{inner}"),
                };
            }
        }
    }
    text
}

fn write(format: Format, data: &Data, dice: &mut Dice) -> String {
    let unit = ["  ", "    ", "\t"][dice.roll(3)];
    let text = match format {
        Format::Toml => write_toml(data, "", unit, dice),
        Format::Json => write_json(data, unit, dice),
        Format::Yaml => {
            let unit = [2, 4, 3][dice.roll(3)];
            let list = if dice.one_in(2) { 0 } else { unit };
            match write_yaml(data, 0, Yaml { unit, list, plain: false }, dice) {
                text if matches!(data, Data::Map(entries) if entries.is_empty()) => text + "{}\n",
                text => text,
            }
        }
    };
    if dice.one_in(8) { text.trim_end().to_owned() } else { text }
}

fn merged_data(base: &Data, addition: &Data) -> Option<Data> {
    match (base, addition) {
        (Data::Scalar(_), Data::Scalar(_)) => Some(base.clone()),
        (Data::List(base), Data::List(addition)) => {
            let mut items = base.clone();
            for item in addition {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            }
            Some(Data::List(items))
        }
        (Data::Map(base), Data::Map(addition)) => {
            let mut entries = base.clone();
            for (key, added) in addition {
                match entries.iter_mut().find(|(other, _)| other == key) {
                    Some((_, data)) => *data = merged_data(data, added)?,
                    None => entries.push((key.clone(), added.clone())),
                }
            }
            Some(Data::Map(entries))
        }
        _ => None,
    }
}

/// With what has but one spelling: no empty collections, no lists of lists, only some scalars.
fn simplify(data: Data) -> Data {
    match data {
        Data::Scalar(2 | 5) => Data::Scalar(0),
        Data::List(items) if !items.is_empty() => {
            let simplify_item = |item| match simplify(item) {
                Data::List(_) => Data::Scalar(1),
                item => item,
            };
            Data::List(items.into_iter().map(simplify_item).collect())
        }
        Data::Map(entries) if !entries.is_empty() => {
            Data::Map(entries.into_iter().map(|(key, data)| (key, simplify(data))).collect())
        }
        Data::Scalar(value) => Data::Scalar(value),
        _ => Data::Scalar(3),
    }
}

fn write_plain(format: Format, data: &Data, unit: usize, list: usize) -> String {
    match format {
        Format::Yaml => write_yaml(data, 0, Yaml { unit, list, plain: true }, &mut Dice(7)),
        _ => write_plain_json(data, 0, unit) + "\n",
    }
}

fn write_plain_json(data: &Data, depth: usize, unit: usize) -> String {
    let margin = " ".repeat(depth * unit);
    let deeper = " ".repeat((depth + 1) * unit);
    let (open, close, children): (_, _, Vec<String>) = match data {
        Data::Scalar(value) => return scalar(Format::Json, *value, &mut Dice(7)),
        Data::List(items) => {
            ("[", "]", items.iter().map(|item| write_plain_json(item, depth + 1, unit)).collect())
        }
        Data::Map(entries) => {
            let write = |(key, data): &(String, Data)| {
                format!("\"{key}\": {}", write_plain_json(data, depth + 1, unit))
            };
            ("{", "}", entries.iter().map(write).collect())
        }
    };
    let children = children.join(&format!(",\n{deeper}"));
    format!("{open}\n{deeper}{children}\n{margin}{close}")
}

/// So few by default that the suite stays quick without optimisation.
fn configure() -> ProptestConfig {
    let cases = env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(32),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(configure())]

    /// A merge succeeds exactly where no kinds clash, and then all that was promised holds.
    #[test]
    fn a_merge_adds_what_is_missing_and_nothing_else(
        base in any_map("[a-d]"), addition in any_map("[a-e]"), seed in any::<u64>(),
    ) {
        for format in FORMATS {
            let mut dice = Dice(seed);
            let base = write(format, &base, &mut dice);
            let addition = write(format, &addition, &mut dice);
            // A last line without an end counts as finished.
            let read = |text: &str| read_value(format, &format!("{}
", text.trim_end())).unwrap();
            let values = (read(&base), read(&addition));
            let merged = merge(format, base.as_bytes(), &addition);
            let wanted = match &values {
                (super::super::Value::Null, addition) => Some(addition.clone()),
                (base, addition) => expected(base, addition),
            };
            // TOML cannot mix tables and other values in an array of tables.
            let is_limit = |conflict: &Conflict| conflict.reason.contains("is an array of tables here");
            if merged.as_ref().is_err_and(is_limit) {
                continue;
            }
            prop_assert_eq!(merged.is_ok(), wanted.is_some(), "{:?}\n{}---\n{}", merged, base, addition);
            let Ok(merged) = merged else { continue };
            prop_assert_eq!(Some(read(&merged)), wanted, "{}", merged);
            prop_assert!(is_kept(&base, &merged));
            prop_assert_eq!(merge(format, merged.as_bytes(), &addition), Ok(merged.clone()));
            let crlf = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
            if base.contains('\n') {
                prop_assert_eq!(merge(format, crlf(&base).as_bytes(), &addition), Ok(crlf(&merged)));
            }
        }
    }

    /// What is added is indented as the base is, whatever the addition's own indent.
    #[test]
    fn an_addition_takes_the_indent_of_the_base(
        base in any_map("[a-d]").prop_map(simplify),
        addition in any_map("[a-e]").prop_map(simplify),
        units in (1..6_usize, 1..6_usize), deep in any::<(bool, bool)>(),
    ) {
        let empty = Data::Scalar(3);
        let Some(wanted) = merged_data(&base, &addition) else { return Ok(()) };
        if base == empty || addition == empty {
            return Ok(());
        }
        for format in [Format::Json, Format::Yaml] {
            let list = |unit: usize, deep: bool| if deep { unit } else { 0 };
            // The base shows its style in a mapping and a list of its own.
            let show = |data: &Data| {
                let Data::Map(entries) = data else { return data.clone() };
                let style = vec![
                    ("m".to_owned(), Data::Map(vec![("k".to_owned(), Data::Scalar(0))])),
                    ("l".to_owned(), Data::List(vec![Data::Scalar(0)])),
                ];
                Data::Map(style.into_iter().chain(entries.clone()).collect())
            };
            let base = write_plain(format, &show(&base), units.0, list(units.0, deep.0));
            let addition = write_plain(format, &addition, units.1, list(units.1, deep.1));
            let wanted = write_plain(format, &show(&wanted), units.0, list(units.0, deep.0));
            prop_assert_eq!(merge(format, base.as_bytes(), &addition), Ok(wanted), "{}---\n{}", base, addition);
        }
    }

    #[test]
    fn lines_are_appended_once(base in "(a|b|!c|#x|#y| |\r?\n){0,12}", addition in "((a|b|c|#x|#y|d: e|)\n){0,12}") {
        for kind in ["patterns", "named"] {
            if let Ok(merged) = merge_kind(kind, base.as_bytes(), &addition) {
                prop_assert!(is_kept(&base, &merged));
                prop_assert!(merged.starts_with(&base));
                prop_assert_eq!(merge_kind(kind, merged.as_bytes(), &addition), Ok(merged));
            }
        }
    }

    #[test]
    fn nothing_panics_on_anything(
        bytes in prop::collection::vec(any::<u8>(), 0..64), text in "\\PC{0,64}",
        soup in "([ab01:,=\\-\\[\\]{}#'\"|>&*!?%@`/.<~+\\\\ \n\t\r]|\\[\\[|\"\"\"|<<: |---\n|: |- |\n  |é){0,40}",
        other in "([ab01:,=\\-\\[\\]{}#'\"|>&*!?/. \n]|: |- |\n  ){0,30}",
    ) {
        for kind in KINDS {
            for base in [&bytes[..], text.as_bytes(), soup.as_bytes()] {
                for addition in [&soup, &other, "a: 1\nb:\n  - c\n", "[a]\nb = 1\n", "{\"a\": {\"b\": [1]}}"] {
                    if let Ok(merged) = merge_kind(kind, base, addition) {
                        prop_assert_eq!(merge_kind(kind, merged.as_bytes(), addition), Ok(merged));
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_panics_on_damaged_files(
        pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), cut in 0..12_usize,
        put in "[ab:,=\\-\\[\\]{}#'\"|>&*!? \n]{0,4}",
    ) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/merge");
        for kind in KINDS {
            let mut cases: Vec<_> =
                fs::read_dir(root.join(kind)).unwrap().map(|case| case.unwrap().path()).collect();
            cases.sort();
            let case = &cases[pick.index(cases.len())];
            let mut base = fs::read(case.join("base")).unwrap();
            let addition = fs::read_to_string(case.join("addition")).unwrap();
            let from = at.index(base.len() + 1);
            let to = base.len().min(from + cut);
            base.splice(from..to, put.bytes());
            if let Ok(merged) = merge_kind(kind, &base, &addition) {
                prop_assert_eq!(merge_kind(kind, merged.as_bytes(), &addition), Ok(merged));
            }
        }
    }
}
