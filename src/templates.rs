//! The embedded layers and the one Tera: which templates a stack and a factor have, and their text.

use std::collections::BTreeMap;

use include_dir::{Dir, DirEntry, File, include_dir};
use serde::de::DeserializeOwned;
use tera::{Context, Delimiters, Kwargs, State, Tera};

use crate::error::{Error, Result};
use crate::factor::Factor;
use crate::service::Service;
use crate::tree::RepoPath;

static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

const COMMON: &str = "common";
const APP: &str = "app";
/// The folder of a stack, or of `common`, with the fragments that its templates include.
const PARTIALS: &str = "partials";
const SUFFIX: &str = ".tera";

/// What a template does with the file that it names, told by the end of its own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `X.tera` owns X.
    Own,
    /// `X.merge.tera` adds to TOML, JSON or YAML what is missing there.
    Merge,
    /// `X.lines.tera` adds missing lines.
    Lines,
}

/// A template of a layer.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its path in `templates/`, which is its name for Tera.
    pub name: &'static str,
    /// The path in the repository, with `__package__` and `key=value/` still in it.
    pattern: String,
    pub kind: Kind,
    /// The factor that it serves; none for the example service.
    pub factor: Option<Factor>,
}

/// A template's text for one service, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub path: RepoPath,
    pub kind: Kind,
    pub factor: Option<Factor>,
    pub text: String,
}

/// The folders of `templates/` that are stacks.
pub fn stack_slugs() -> impl Iterator<Item = &'static str> {
    EMBEDDED
        .dirs()
        .filter(|folder| folder.get_file(folder.path().join("stack.toml")).is_some())
        .filter_map(|folder| folder.path().to_str())
}

/// Reads an embedded TOML file as it stands.
///
/// # Errors
/// It is missing or broken: a defect of this build.
pub fn read_data<T: DeserializeOwned>(path: &str) -> Result<T> {
    parse_data(path, read_text(path)?)
}

/// The text of an embedded file, if there is one at that path.
#[must_use]
pub fn find_data(path: &str) -> Option<String> {
    read_text(path).ok().map(str::to_owned)
}

/// Renders embedded TOML files and reads them as one document.
///
/// # Errors
/// One is missing or broken: a defect of this build.
pub fn render_data<T: DeserializeOwned>(paths: &[&str], context: &Context) -> Result<T> {
    let texts = paths.iter().copied().map(read_text).collect::<Result<Vec<_>>>()?;
    let names = paths.join(" + ");
    let rendered = open_tera()?
        .render_str(&texts.join("\n"), context, false)
        .map_err(|error| embedded(&names, &error))?;
    parse_data(&names, &rendered)
}

/// What a service gives templates to render from.
///
/// # Errors
/// It cannot be serialized: a defect of this build.
pub fn context(service: &Service) -> Result<Context> {
    Context::from_serialize(service).map_err(|error| embedded("service", &error))
}

fn parse_data<T: DeserializeOwned>(path: &str, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| embedded(path, &error))
}

fn read_text(path: &str) -> Result<&'static str> {
    EMBEDDED.get_file(path).and_then(File::contents_utf8).ok_or_else(|| Error::Embedded {
        path: path.to_owned(),
        reason: "it is missing or not UTF-8".to_owned(),
    })
}

/// The templates of a factor in a stack: first what every stack shares, then its own.
#[must_use]
pub fn find_layer(stack: &str, factor: Factor) -> Vec<Template> {
    find_templates(stack, factor.slug(), Some(factor))
}

/// The templates of the example service of a stack.
#[must_use]
pub fn find_app(stack: &str) -> Vec<Template> {
    find_templates(stack, APP, None)
}

/// All that `new` lays: the example service, then the twelve.
#[must_use]
pub fn find_all(stack: &str) -> Vec<Template> {
    let mut templates = find_app(stack);
    templates.extend(Factor::ALL.into_iter().flat_map(|factor| find_layer(stack, factor)));
    templates
}

/// The data files called `file` beside the layers of a stack, in the order of the factors.
#[must_use]
pub fn find_layer_data(stack: &str, file: &str) -> Vec<String> {
    Factor::ALL
        .into_iter()
        .flat_map(|factor| [COMMON, stack].map(|home| format!("{home}/{factor}/{file}")))
        .filter(|path| EMBEDDED.get_file(path).is_some())
        .collect()
}

fn find_templates(stack: &str, layer: &str, factor: Option<Factor>) -> Vec<Template> {
    [COMMON, stack]
        .into_iter()
        .flat_map(|home| {
            let root = format!("{home}/{layer}/");
            list_files(&root).filter_map(move |(name, _)| {
                let pattern = name.strip_prefix(&root)?.strip_suffix(SUFFIX)?;
                let (pattern, kind) = if let Some(owned) = pattern.strip_suffix(".merge") {
                    (owned, Kind::Merge)
                } else if let Some(owned) = pattern.strip_suffix(".lines") {
                    (owned, Kind::Lines)
                } else {
                    (pattern, Kind::Own)
                };
                Some(Template { name, pattern: pattern.to_owned(), kind, factor })
            })
        })
        .collect()
}

/// Every file below `root`, by its path in `templates/`, sorted.
fn list_files(root: &str) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
    let mut found = BTreeMap::new();
    let mut open: Vec<&Dir<'static>> =
        EMBEDDED.get_dir(root.trim_end_matches('/')).into_iter().collect();
    while let Some(folder) = open.pop() {
        for entry in folder.entries() {
            match entry {
                DirEntry::Dir(inner) => open.push(inner),
                DirEntry::File(file) => {
                    if let (Some(path), Some(text)) = (file.path().to_str(), file.contents_utf8()) {
                        found.insert(path, text);
                    }
                }
            }
        }
    }
    found.into_iter()
}

/// Renders `templates` for a service. One that comes out blank says that there is nothing to add: it is left out.
///
/// # Errors
/// A template is broken, or names what the service lacks: a defect of this build.
pub fn render(templates: &[Template], service: &Service) -> Result<Vec<Rendered>> {
    let context = context(service)?;
    let selected: Vec<_> = templates
        .iter()
        .filter_map(|template| Some((template, template.resolve_path(service)?)))
        .collect();

    let mut tera = open_tera()?;
    let partials = [COMMON, &service.stack]
        .into_iter()
        .flat_map(|home| list_files(&format!("{home}/{PARTIALS}/")));
    let sources = selected
        .iter()
        .map(|(template, _)| Ok((template.name, read_text(template.name)?)))
        .collect::<Result<Vec<_>>>()?;
    tera.add_raw_templates(partials.chain(sources))
        .map_err(|error| embedded("templates", &error))?;

    let mut rendered = Vec::new();
    for (template, path) in selected {
        let text = tera
            .render(template.name, &context)
            .map_err(|error| embedded(template.name, &error))?;
        if !text.trim().is_empty() || template.is_empty() {
            rendered.push(Rendered {
                path: RepoPath::parse(&path)?,
                kind: template.kind,
                factor: template.factor,
                text,
            });
        }
    }
    Ok(rendered)
}

impl Template {
    /// The path for that service, or none where a `key=value` in it was not chosen.
    fn resolve_path(&self, service: &Service) -> Option<String> {
        let mut path = Vec::new();
        for part in self.pattern.split('/') {
            match part.split_once('=') {
                Some((key, value)) if service.options.get(key).is_some_and(|has| has == value) => {}
                Some(_) => return None,
                None => path.push(
                    part.replace("__package__", &service.package)
                        .replace("__slug__", &service.slug),
                ),
            }
        }
        Some(path.join("/"))
    }

    /// A file that is empty on purpose, such as a `py.typed`.
    fn is_empty(&self) -> bool {
        read_text(self.name).is_ok_and(str::is_empty)
    }
}

fn open_tera() -> Result<Tera> {
    let mut tera = Tera::new();
    tera.autoescape_on(Vec::<String>::new());
    tera.set_delimiters(Delimiters {
        block_start: "<%".into(),
        block_end: "%>".into(),
        variable_start: "[=".into(),
        variable_end: "=]".into(),
        comment_start: "<#".into(),
        comment_end: "#>".into(),
    })
    .map_err(|error| embedded("delimiters", &error))?;
    tera.register_filter("exec_form", |command: &str, _: Kwargs, _: &State| exec_form(command));
    tera.register_filter("sort_packages", sort_packages);
    Ok(tera)
}

/// Cargo keeps the packages of its lock file in order: where the service's own stands depends on its name.
fn sort_packages(packages: &str, _: Kwargs, _: &State) -> String {
    let name =
        |package: &str| package.lines().find(|line| line.starts_with("name = ")).map(str::to_owned);
    let mut packages: Vec<&str> = packages.trim().split("\n\n").collect();
    packages.sort_by_cached_key(|package| name(package));
    packages.join("\n\n")
}

/// A command line as the JSON array that an image's `CMD` takes, so that no shell stands between a signal and
/// the program. A line that needs a shell gets one, replaced by the program where that can be.
fn exec_form(command: &str) -> String {
    let words = match (shell_words::split(command), Need::of(command)) {
        (Ok(words), Need::Words) => words,
        (_, Need::Expansion) => shell(format!("exec {command}")),
        _ => shell(command.to_owned()),
    };
    let quoted: Vec<String> =
        words.into_iter().map(|word| serde_json::Value::String(word).to_string()).collect();
    format!("[{}]", quoted.join(", "))
}

fn shell(script: String) -> Vec<String> {
    vec!["sh".to_owned(), "-c".to_owned(), script]
}

/// What of a shell a command line needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// To split it into words, at most.
    Words,
    /// To fill words in.
    Expansion,
    /// To run more than one program, or one with other variables.
    Script,
}

impl Need {
    fn of(command: &str) -> Self {
        let assigns = command.split(' ').next().is_some_and(|word| word.contains('='));
        let mut need = if assigns { Self::Script } else { Self::Words };
        let mut quote = None;
        let mut characters = command.chars();
        while let Some(character) = characters.next() {
            match (quote, character) {
                (Some(open), _) if character == open => quote = None,
                (None, '\'' | '"') => quote = Some(character),
                (None | Some('"'), '\\') => drop(characters.next()),
                (None | Some('"'), '$' | '`') | (None, '*' | '?' | '~' | '<' | '>') => {
                    need = need.max(Self::Expansion);
                }
                (None, '&' | '|' | ';' | '(' | '#' | '\n') => return Self::Script,
                _ => {}
            }
        }
        need
    }
}

fn embedded(path: &str, error: &dyn std::error::Error) -> Error {
    Error::Embedded { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::exec_form;

    #[test]
    fn a_command_needs_a_shell_only_where_a_shell_would_do_something() {
        for (command, form) in [
            ("shop web", r#"["shop", "web"]"#),
            (r#"node -e "run('a; b')""#, r#"["node", "-e", "run('a; b')"]"#),
            ("python -c 'print(\"$x\")'", r#"["python", "-c", "print(\"$x\")"]"#),
            ("serve --port $PORT", r#"["sh", "-c", "exec serve --port $PORT"]"#),
            (r#"serve "${PORT:-1}""#, r#"["sh", "-c", "exec serve \"${PORT:-1}\""]"#),
            ("A=1 serve", r#"["sh", "-c", "A=1 serve"]"#),
            ("cd app && serve", r#"["sh", "-c", "cd app && serve"]"#),
            (r"serve a\ b", r#"["serve", "a b"]"#),
        ] {
            assert_eq!(exec_form(command), form);
        }
    }
}
