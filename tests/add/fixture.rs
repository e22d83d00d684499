//! The services that `add` is tried on, and what their copies are made of.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use dozen::check::finding::Verdict;
use dozen::factor::Factor;
use serde::Deserialize;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/add/fixtures");

/// What stands in the file beside a fixture.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    #[serde(skip)]
    pub name: String,
    /// The folder of the repository, where that has another name.
    #[serde(default)]
    folder: Option<String>,
    /// The service inside of the repository.
    #[serde(default)]
    pub path: PathBuf,
    /// The ways to write a file in which it is tried, too.
    pub encode: Vec<Encoding>,
    /// What `check` says of a factor when it has been added; of others a person is told what to do.
    pub turns: BTreeMap<Factor, Verdict>,
    /// How it is built and run, where that is tried.
    #[serde(default)]
    pub prove: Option<Prove>,
}

/// How a fixture is proven before and after.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prove {
    /// How it is started, where the repository does not say it.
    #[serde(default)]
    pub web: Option<String>,
    /// What its tests need, one command after the other.
    pub install: Vec<String>,
    /// Its own tests, as its CI runs them.
    pub test: String,
    /// What its CI sets for them, once the code reads it.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Added one after the other, each with what `prove` says before; without the port of the first step nothing
    /// can be tested of the others.
    pub steps: Vec<BTreeMap<Factor, String>>,
}

/// A way to write a file that editors leave behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Every line ends with a carriage return.
    Crlf,
    /// Every fourth line does.
    Mixed,
    /// A mark of the byte order stands before the first line of sources and JSON.
    Bom,
    /// Sources are indented by tabs.
    Tabs,
    NoFinalNewline,
}

impl Fixture {
    pub fn all() -> Vec<Self> {
        let names = fs::read_dir(FOLDER).unwrap().filter_map(|entry| {
            let path = entry.unwrap().path();
            let is_data = path.extension().is_some_and(|end| end == "toml");
            Some(path.file_stem()?.to_str()?.to_owned()).filter(|_| is_data)
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.iter().map(|name| Self::read(name)).collect()
    }

    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(Path::new(FOLDER).join(name).with_extension("toml")).unwrap();
        let fixture: Self = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), ..fixture }
    }

    /// Copies the repository.
    pub fn copy(&self, to: &Path, encoding: Option<Encoding>) {
        let from = Path::new(FOLDER).join(self.folder.as_ref().unwrap_or(&self.name));
        copy(&from, to, encoding);
    }
}

/// Folders that tools leave where somebody ran a fixture in its place.
const MADE: [&str; 5] = ["node_modules", "target", ".venv", "__pycache__", ".git"];

fn copy(from: &Path, to: &Path, encoding: Option<Encoding>) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_file() {
            fs::copy(&from, &to).unwrap();
            if let Some(encoding) = encoding {
                let bytes = fs::read(&from).unwrap();
                fs::write(&to, encoding.apply(&from, &bytes, Encoding::measure(&bytes))).unwrap();
            }
        } else if !MADE.iter().any(|name| entry.file_name() == *name) {
            copy(&from, &to, encoding);
        }
    }
}

impl Encoding {
    /// Whether a line says how each other is written.
    pub fn is_uniform(self) -> bool {
        self != Self::Mixed
    }

    /// How wide a step of the indentation is: the smallest that there is, but for those of comments.
    pub fn measure(bytes: &[u8]) -> usize {
        let text = str::from_utf8(bytes).unwrap();
        let widths = text.lines().map(|line| line.len() - line.trim_start_matches(' ').len());
        widths.filter(|width| *width > 1).min().unwrap_or(4)
    }

    /// The file, written so; `step` is how wide a step of its indentation is.
    pub fn apply(self, path: &Path, bytes: &[u8], step: usize) -> Vec<u8> {
        let text = str::from_utf8(bytes).unwrap();
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        let is_source = ["js", "ts", "py", "rs"].contains(&end);
        match self {
            Self::Crlf => text.replace('\n', "\r\n").into_bytes(),
            Self::Mixed => {
                let lines = text.split_inclusive('\n').enumerate().map(|(at, line)| {
                    if at % 4 == 0 { line.replace('\n', "\r\n") } else { line.to_owned() }
                });
                lines.collect::<String>().into_bytes()
            }
            Self::Bom if text.starts_with("#!") || !is_source && end != "json" => bytes.to_vec(),
            Self::Bom => ["\u{feff}", text].concat().into_bytes(),
            Self::Tabs if is_source || text.starts_with("#!") => {
                let lines = text.split_inclusive('\n').map(|line| {
                    let rest = line.trim_start_matches(' ');
                    let spaces = line.len() - rest.len();
                    "\t".repeat(spaces / step) + &" ".repeat(spaces % step) + rest
                });
                lines.collect::<String>().into_bytes()
            }
            Self::Tabs => bytes.to_vec(),
            Self::NoFinalNewline => text.trim_end_matches('\n').as_bytes().to_vec(),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crlf => "CRLF",
            Self::Mixed => "some CRLF",
            Self::Bom => "a byte order mark",
            Self::Tabs => "tabs",
            Self::NoFinalNewline => "no final newline",
        })
    }
}
