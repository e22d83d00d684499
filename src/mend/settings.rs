//! Turns a file of settings that code imports, such as `config.json`, into a module that takes what differs between
//! deploys from the environment: only where each import of it is seen, and nothing else names it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use ast_grep_core::tree_sitter::StrDoc;
use ast_grep_core::{AstGrep, Node};
use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::{CollectOptions, ParseOptions};
use regex::Regex;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::style::Style;
use super::{Revision, manifest};
use crate::check::facts::setting::is_config_file;
use crate::check::language::{Grammar, Language};
use crate::check::sources::folder_of;
use crate::merge::text::{Insert, Text};
use crate::pattern::Pattern;
use crate::tree::{RepoPath, Tree};

type SyntaxNode<'t> = Node<'t, StrDoc<Grammar>>;

/// Which of the values in a file of settings are taken from the environment, by their keys with dots between them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// Without a default.
    pub secret: Pattern,
    /// With the value that stands there as the default.
    pub deploy: Pattern,
}

/// Code with these is bundled for a browser or a desktop, where nobody sets variables.
const BUNDLED: [&str; 10] = [
    "react",
    "react-native",
    "vue",
    "svelte",
    "@angular/core",
    "electron",
    "vite",
    "webpack",
    "parcel",
    "next",
];

/// Variables that a shell sets for itself.
const OF_THE_SHELL: [&str; 13] = [
    "DISPLAY", "HOME", "HOSTNAME", "LANG", "LOGNAME", "MAIL", "NAME", "PATH", "PWD", "SHELL",
    "TERM", "USER", "USERNAME",
];

/// A file that is grouped by them is no list of settings.
const ENVIRONMENTS: [&str; 6] = ["development", "dev", "production", "prod", "staging", "test"];

/// What is written for people names a file and does not read it.
const PROSE: [&str; 4] = [".md", ".rst", ".txt", ".adoc"];

#[expect(clippy::unwrap_used, reason = "the pattern is constant")]
static DEFAULT_IMPORT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^import\s+[A-Za-z_$][\w$]*\s+from\s").unwrap());
#[expect(clippy::unwrap_used, reason = "the pattern is constant")]
static DOTENV_ELSEWHERE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"dotenv['")]*\.config\(\s*[^)\s]"#).unwrap());
#[expect(clippy::unwrap_used, reason = "the pattern is constant")]
static PASSWORD_IN_URL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"://[^/\s:@]*:[^/\s@]+@").unwrap());

/// The file that a finding is in, or that its file imports, as a module; nothing where that is not safe.
#[must_use]
pub fn mend(tree: &Tree, taken: &Taken, path: &RepoPath) -> Option<Revision> {
    let file = find_file(tree, path)?;
    if manifest::declares(tree, &file, &BUNDLED.map(str::to_owned)) {
        return None;
    }
    let imports = list_imports(tree, &file)?;
    let syntax = Syntax::of(tree, &file, &imports)?;
    let module = file.with_file_name(&format!("{}.{}", stem(&file), syntax.ending));
    if tree.get(&module).is_some() {
        return None;
    }
    let (first, _) = imports.first_key_value()?;
    let style = Style::of(&tree.text(first)?, Grammar::of(first.file_name(), "")?);
    let mut writer =
        Writer { taken, lines: Vec::new(), variables: BTreeMap::new(), requires: false };
    writer.write_file(&tree.text(&file)?)?;
    if writer.variables.is_empty() {
        return None;
    }
    let text: Vec<String> = syntax.lines(&writer).iter().map(|line| style.adapt(line)).collect();
    let mut revision = Revision { variables: writer.variables, ..Revision::default() };
    revision.files.insert(module, Some(text.join("\n") + "\n"));
    revision.files.insert(file, None);
    for (path, imports) in imports {
        let edits = imports.iter().filter_map(|import| syntax.rename(import));
        revision.edits.entry(path).or_default().extend(edits);
    }
    revision.edits.retain(|_, edits| !edits.is_empty());
    Some(revision)
}

fn stem(file: &RepoPath) -> &str {
    file.file_name().trim_end_matches(".json")
}

/// The file of settings: the finding's own, or the only one that its file imports.
fn find_file(tree: &Tree, path: &RepoPath) -> Option<RepoPath> {
    let is_settings = |path: &RepoPath| is_config_file(path) && stem(path) != path.file_name();
    if is_settings(path) {
        return Some(path.clone());
    }
    let text = tree.text(path)?;
    let mut imported = tree.files().filter(|file| is_settings(file)).filter(|file| {
        find_imports(tree, file, path, &text).is_some_and(|imports| !imports.is_empty())
    });
    let found = imported.next()?;
    imported.next().is_none().then(|| found.clone())
}

/// One place where the file is imported.
struct Import {
    /// The name of the file, without its quotes.
    name: Range<usize>,
    spelled: String,
    quote: String,
    /// What a statement of import says after the name.
    attributes: Range<usize>,
    is_statement: bool,
}

/// Every import of the file; nothing where something else names it.
fn list_imports(tree: &Tree, file: &RepoPath) -> Option<BTreeMap<RepoPath, Vec<Import>>> {
    let mut found = BTreeMap::new();
    for path in tree.files().filter(|path| *path != file) {
        let name = path.file_name();
        let is_read = !PROSE.iter().any(|end| name.to_lowercase().ends_with(end))
            && !path.folders().any(|folder| folder.file_name() == "node_modules");
        let Some(text) = is_read.then(|| tree.text(path)).flatten() else { continue };
        if text.contains("dotenv") && DOTENV_ELSEWHERE.is_match(&text) {
            return None;
        }
        let is_script =
            Grammar::of(name, &text).is_some_and(|it| it.language() == Language::JavaScript);
        if is_script {
            let imports = find_imports(tree, file, path, &text)?;
            if !imports.is_empty() {
                found.insert(path.clone(), imports);
            }
        } else if text.contains(file.file_name()) {
            return None;
        }
    }
    Some(found)
}

/// The imports of the file in this one; nothing where it is named in another way.
fn find_imports(tree: &Tree, file: &RepoPath, path: &RepoPath, text: &str) -> Option<Vec<Import>> {
    let mut found = Vec::new();
    if !text.contains(stem(file)) {
        return Some(found);
    }
    let read = Text::read(text.as_bytes()).ok()?;
    let syntax =
        AstGrep::<StrDoc<Grammar>>::try_new(read.lines(), Grammar::of(path.file_name(), text)?);
    let syntax = syntax.ok()?;
    for node in syntax.root().dfs() {
        if !matches!(&*node.kind(), "string" | "template_string") {
            continue;
        }
        let quoted = node.text();
        let spelled = quoted.trim_matches(['\'', '"', '`']);
        if !leads_to(tree, spelled, path, file) {
            if spelled.contains(file.file_name()) {
                return None;
            }
            continue;
        }
        let whole = node.range();
        let (end, is_statement) = match form_of(&node)? {
            Form::Call => (whole.end, false),
            Form::Statement(end) => (end, true),
        };
        found.push(Import {
            name: whole.start + 1..whole.end - 1,
            spelled: spelled.to_owned(),
            quote: quoted[quoted.len() - 1..].to_owned(),
            attributes: whole.end..end,
            is_statement,
        });
    }
    Some(found)
}

/// How a file is imported.
enum Form {
    Call,
    /// With where it ends.
    Statement(usize),
}

/// How this imports something; nothing where it is anything else.
fn form_of(node: &SyntaxNode<'_>) -> Option<Form> {
    let parent = node.parent()?;
    match &*parent.kind() {
        "arguments" => {
            let call = parent.parent()?;
            let name = call.field("function")?;
            (name.text() == "require" && parent.children().count() == 3).then_some(Form::Call)
        }
        "import_statement" if DEFAULT_IMPORT.is_match(&parent.text()) => {
            let range = parent.range();
            let text = parent.text();
            Some(Form::Statement(range.start + text.trim_end_matches(';').trim_end().len()))
        }
        _ => None,
    }
}

/// Whether what is imported so from `path` is the file.
fn leads_to(tree: &Tree, spelled: &str, path: &RepoPath, file: &RepoPath) -> bool {
    let is = |found: &str| found == file.as_str() || format!("{found}.json") == file.as_str();
    if !spelled.starts_with('.') {
        // By the root of the package, where something makes that one of the places to look in.
        let root = package(tree, file).map_or("", |(folder, _)| folder);
        return spelled != stem(file) && format!("{root}{spelled}") == file.as_str();
    }
    let mut parts: Vec<&str> = folder_of(path).split('/').filter(|part| !part.is_empty()).collect();
    for part in spelled.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                if parts.pop().is_none() {
                    return false;
                }
            }
            part => parts.push(part),
        }
    }
    is(&parts.join("/"))
}

/// The folder of the package that a file belongs to, and its manifest.
fn package<'p>(tree: &Tree, file: &'p RepoPath) -> Option<(&'p str, String)> {
    let ends = file.as_str().rmatch_indices('/').map(|(at, _)| at + 1).chain([0]);
    ends.map(|end| &file.as_str()[..end]).find_map(|folder| {
        let manifest = RepoPath::parse(&format!("{folder}package.json")).ok()?;
        Some((folder, tree.text(&manifest)?))
    })
}

/// How a module of that package is written.
struct Syntax {
    ending: &'static str,
    is_esm: bool,
    exports: &'static str,
    has_dotenv: bool,
}

impl Syntax {
    fn of(tree: &Tree, file: &RepoPath, imports: &BTreeMap<RepoPath, Vec<Import>>) -> Option<Self> {
        let endings: BTreeSet<&str> =
            imports.keys().filter_map(|path| Some(path.file_name().rsplit_once('.')?.1)).collect();
        let ending = match endings.into_iter().collect::<Vec<_>>().as_slice() {
            ["js"] => "js",
            ["ts"] => "ts",
            _ => return None,
        };
        let (_, manifest) = package(tree, file)?;
        let manifest: serde_json::Value = serde_json::from_str(&manifest).ok()?;
        let is_esm = manifest["type"] == "module";
        let mut imports = imports.values().flatten();
        let is_statement = imports.next()?.is_statement;
        let is_mixed = imports.any(|import| import.is_statement != is_statement);
        if is_mixed || is_statement != (is_esm || ending == "ts") || is_esm && ending == "ts" {
            return None;
        }
        Some(Self {
            ending,
            is_esm,
            exports: if is_statement { "export default {" } else { "module.exports = {" },
            has_dotenv: manifest["dependencies"].get("dotenv").is_some(),
        })
    }

    /// What makes of an import that of the module.
    fn rename(&self, import: &Import) -> Option<Insert> {
        let bare = import.spelled.strip_suffix(".json")?;
        let keeps_ending = self.is_esm || !bare.starts_with('.');
        let name = if keeps_ending { format!("{bare}.{}", self.ending) } else { bare.to_owned() };
        if import.attributes.is_empty() {
            return Some(Insert::replace(&import.name, name));
        }
        Some(Insert::replace(&(import.name.start..import.attributes.end), name + &import.quote))
    }

    fn lines(&self, writer: &Writer<'_>) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        if self.has_dotenv {
            let is_statement = self.exports.starts_with("export");
            let load = if is_statement {
                "import 'dotenv/config';"
            } else {
                "require('dotenv').config();"
            };
            lines.extend([load.to_owned(), String::new()]);
        }
        lines.push(self.exports.to_owned());
        lines.extend(writer.lines.iter().cloned());
        lines.push("};".to_owned());
        if writer.requires {
            let head = match self.ending {
                "ts" => "function required(name: string): string {",
                _ => "function required(name) {",
            };
            let body = [
                "",
                head,
                "  const value = process.env[name];",
                "  if (!value) throw new Error(`${name} is not set`);",
                "  return value;",
                "}",
            ];
            lines.extend(body.map(str::to_owned));
        }
        lines
    }
}

/// Writes values as code.
struct Writer<'w> {
    taken: &'w Taken,
    lines: Vec<String>,
    variables: BTreeMap<String, String>,
    /// Whether one of them has no default.
    requires: bool,
}

impl Writer<'_> {
    fn write_file(&mut self, text: &str) -> Option<()> {
        // Comments would be lost.
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        let options = CollectOptions::default();
        let parsed = jsonc_parser::parse_to_ast(text, &options, &ParseOptions::default()).ok()?;
        let Some(Value::Object(object)) = parsed.value else { return None };
        let keys = object.properties.iter().map(|property| property.name.as_str().to_lowercase());
        if keys.clone().any(|key| ENVIRONMENTS.contains(&key.as_str())) {
            return None;
        }
        self.write_members(&object.properties, &mut Vec::new())
    }

    fn write_members(&mut self, members: &[ObjectProp<'_>], keys: &mut Vec<String>) -> Option<()> {
        for (at, member) in members.iter().enumerate() {
            let key = member.name.as_str();
            keys.push(key.to_owned());
            let comma = if at + 1 < members.len() { "," } else { "" };
            self.write_value(&format!("{}: ", property(key)), &member.value, keys, comma)?;
            keys.pop();
        }
        Some(())
    }

    fn write_value(
        &mut self,
        lead: &str,
        value: &Value<'_>,
        keys: &mut Vec<String>,
        comma: &str,
    ) -> Option<()> {
        let indent = "  ".repeat(keys.len());
        match value {
            Value::Object(object) if !object.properties.is_empty() => {
                self.lines.push(format!("{indent}{lead}{{"));
                self.write_members(&object.properties, keys)?;
                self.lines.push(format!("{indent}}}{comma}"));
            }
            Value::Array(array) if !array.elements.is_empty() => {
                self.lines.push(format!("{indent}{lead}["));
                keys.push(String::new());
                for (at, element) in array.elements.iter().enumerate() {
                    // What is named by its place in a list has no name for a variable.
                    if matches!(element, Value::Object(_) | Value::Array(_)) {
                        return None;
                    }
                    let comma = if at + 1 < array.elements.len() { "," } else { "" };
                    self.lines.push(format!("{indent}  {}{comma}", literal(element)));
                }
                keys.pop();
                self.lines.push(format!("{indent}]{comma}"));
            }
            scalar => {
                let written = self.write_scalar(scalar, keys)?;
                self.lines.push(format!("{indent}{lead}{written}{comma}"));
            }
        }
        Some(())
    }

    fn write_scalar(&mut self, value: &Value<'_>, keys: &[String]) -> Option<String> {
        let path = keys.join(".");
        let written = literal(value);
        let is_secret = self.taken.secret.is_match(&path);
        if !is_secret && !self.taken.deploy.is_match(&path) {
            return Some(written);
        }
        let (expression, example) = match value {
            Value::StringLit(text) => {
                let name = variable(keys);
                let is_secret = is_secret || PASSWORD_IN_URL.is_match(&text.value);
                if is_secret && !text.value.is_empty() {
                    self.requires = true;
                    (format!("required('{name}')"), String::new())
                } else {
                    (format!("process.env.{name} || {written}"), text.value.to_string())
                }
            }
            Value::NumberLit(number) if !is_secret => {
                let name = variable(keys);
                (format!("Number(process.env.{name}) || {written}"), number.value.to_owned())
            }
            _ => return Some(written),
        };
        let name = variable(keys);
        let is_taken = OF_THE_SHELL.contains(&name.as_str()) || example.contains(['\n', '#', '$']);
        let is_new = self.variables.insert(name, example).is_none();
        (is_new && !is_taken).then_some(expression)
    }
}

/// The variable of a value: `DATABASE_HOST` for `database.host`.
fn variable(keys: &[String]) -> String {
    let mut words: Vec<String> = keys.iter().map(|key| shout(key)).collect();
    // `database.database` is the database's name.
    if let [.., above, last] = words.as_mut_slice()
        && above == last
    {
        "NAME".clone_into(last);
    }
    words.join("_")
}

/// `mongoUri` as `MONGO_URI`.
fn shout(key: &str) -> String {
    let mut shouted = String::new();
    let mut was_small = false;
    for letter in key.chars() {
        if letter.is_ascii_uppercase() && was_small {
            shouted.push('_');
        }
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        shouted.push(if letter.is_ascii_alphanumeric() {
            letter.to_ascii_uppercase()
        } else {
            '_'
        });
    }
    shouted
}

fn property(key: &str) -> String {
    let is_name = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && !key.is_empty();
    if is_name { key.to_owned() } else { quote(key) }
}

fn quote(text: &str) -> String {
    if text.contains(['\'', '"', '\\', '`']) || text.chars().any(char::is_control) {
        return serde_json::Value::from(text).to_string();
    }
    format!("'{text}'")
}

fn literal(value: &Value<'_>) -> String {
    match value {
        Value::StringLit(text) => quote(&text.value),
        Value::NumberLit(number) => number.value.to_owned(),
        Value::BooleanLit(truth) => truth.value.to_string(),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        Value::NullKeyword(_) => "null".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Content;

    const PACKAGE: (&str, &str) = ("package.json", "{}");
    const SETTINGS: (&str, &str) = (
        "config.json",
        r#"{ "url": "redis://localhost", "jwt": { "secret": "it's" }, "size": [1, 2] }"#,
    );

    fn mend_files(files: &[(&str, &str)]) -> Option<BTreeMap<String, Option<String>>> {
        let tree = Tree::from_files(files.iter().map(|(path, text)| {
            let content = Content { bytes: (*text).into(), executable: false };
            (RepoPath::parse(path).unwrap(), content)
        }));
        let taken =
            Taken { secret: Pattern::new("secret$"), deploy: Pattern::new("(url|port|user)$") };
        let revision = mend(&tree, &taken, &RepoPath::parse(SETTINGS.0).unwrap())?;
        let edited = revision.edits.into_iter().map(|(path, edits)| {
            let text = Text::read(tree.text(&path).unwrap().as_bytes()).unwrap();
            (path.to_string(), Some(text.write(edits)))
        });
        let whole = revision.files.into_iter().map(|(path, text)| (path.to_string(), text));
        Some(edited.chain(whole).collect())
    }

    #[test]
    fn a_module_is_written_as_its_importers_are() {
        let module = |lines: &[&str]| Some(lines.join("\n") + "\n");
        let required = [
            "function required(name) {",
            "\tconst value = process.env[name]",
            "\tif (!value) throw new Error(`${name} is not set`)",
            "\treturn value",
            "}",
        ];
        let members = [
            "\turl: process.env.URL || \"redis://localhost\",",
            "\tjwt: {",
            "\t\tsecret: required(\"JWT_SECRET\")",
            "\t},",
            "\tsize: [",
            "\t\t1,",
            "\t\t2",
            "\t]",
        ];
        let importer = "const c = require(\"./config.json\")\nfunction f() {\n\treturn c\n}\n";
        let found = mend_files(&[PACKAGE, SETTINGS, ("app.js", importer)]).unwrap();
        let expected = [&["module.exports = {"], &members[..], &["}", ""], &required].concat();
        assert_eq!(found["config.js"], module(&expected));
        assert_eq!(found["config.json"], None);
        assert_eq!(found["app.js"], Some(importer.replace("config.json", "config")));

        let package =
            ("package.json", r#"{ "type": "module", "dependencies": { "dotenv": "16" } }"#);
        let importer = "import c from \"../config.json\" with { type: \"json\" }\nf(\n\tc)\n";
        let found = mend_files(&[package, SETTINGS, ("src/app.js", importer)]).unwrap();
        let head = ["import \"dotenv/config\"", "", "export default {"];
        let expected = [&head, &members[..], &["}", ""], &required].concat();
        assert_eq!(found["config.js"], module(&expected));
        assert_eq!(
            found["src/app.js"],
            Some("import c from \"../config.js\"\nf(\n\tc)\n".to_owned())
        );

        let importer = "import c from './config.json';\n";
        let found = mend_files(&[PACKAGE, SETTINGS, ("app.ts", importer)]).unwrap();
        assert!(found["config.ts"].as_ref().unwrap().contains("required(name: string): string {"));
        assert_eq!(found["app.ts"], Some("import c from './config';\n".to_owned()));
    }

    #[test]
    fn what_is_imported_by_its_bare_name_keeps_it() {
        let found = mend_files(&[PACKAGE, SETTINGS, ("app.js", "f(require('./config'));\n")]);
        assert_eq!(found.unwrap().keys().collect::<Vec<_>>(), ["config.js", "config.json"]);
        let found = mend_files(&[PACKAGE, SETTINGS, ("a/app.js", "f(require('config.json'));\n")]);
        assert_eq!(found.unwrap()["a/app.js"], Some("f(require('config.js'));\n".to_owned()));
    }

    #[test]
    fn nothing_is_done_where_something_else_may_read_the_file() {
        let importer = ("app.js", "const c = require('./config.json');\n");
        let others: [&[(&str, &str)]; 16] = [
            &[("b.js", "fs.readFileSync('./config.json')")],
            &[("b.js", "f(`${root}/config.json`)")],
            &[("b.js", "require.resolve('./config.json')")],
            &[("b.js", "import c from './config.json'")],
            &[("b.ts", "f(require('./config.json'))")],
            &[("b.jsx", "f(require('./config.json'))")],
            &[("b.py", "open('config.json')")],
            &[("Dockerfile", "COPY config.json .")],
            &[("config.js", "")],
            &[("package.json", r#"{ "dependencies": { "react": "19" } }"#)],
            &[("package.json", r#"{ "type": "module" }"#)],
            &[("b.js", "require('dotenv').config({ path: 'config/.env' })")],
            &[("config.json", "{ \"secret\": \"a\" // b\n }")],
            &[("config.json", r#"{ "production": { "secret": "a" } }"#)],
            &[("config.json", r#"{ "user": "a" }"#)],
            &[("config.json", r#"{ "size": 1 }"#)],
        ];
        assert!(mend_files(&[PACKAGE, SETTINGS, importer]).is_some());
        let prose = ("README.md", "Edit `config.json`.");
        assert!(mend_files(&[PACKAGE, SETTINGS, importer, prose]).is_some());
        for other in others {
            assert_eq!(
                mend_files(&[&[PACKAGE, SETTINGS, importer], other].concat()),
                None,
                "{other:?}"
            );
        }
        assert_eq!(mend_files(&[PACKAGE, SETTINGS]), None, "nobody imports it");
    }
}
