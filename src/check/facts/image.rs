//! Dockerfiles: their stages, and each instruction with its line.

use crate::check::finding::Place;
use crate::tree::RepoPath;

/// A Dockerfile.
#[derive(Clone, Debug)]
pub struct Image {
    pub path: RepoPath,
    pub instructions: Vec<Instruction>,
}

/// An instruction.
#[derive(Clone, Debug)]
pub struct Instruction {
    pub line: usize,
    /// `RUN`, in capitals.
    pub name: String,
    /// What follows, with its line breaks.
    pub text: String,
    /// The stage that it belongs to, from zero.
    pub stage: usize,
}

impl Image {
    /// Reads the text for what it gives.
    #[must_use]
    pub fn read(path: &RepoPath, text: &str) -> Self {
        let mut instructions: Vec<Instruction> = Vec::new();
        let mut lines = text.lines().enumerate().peekable();
        let mut stage = 0;
        while let Some((at, line)) = lines.next() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut whole = line.to_owned();
            while whole.ends_with('\\') {
                whole.pop();
                let Some((_, next)) = lines.next() else { break };
                let next = next.trim();
                // A comment between the lines of an instruction is none of its text.
                let (next, goes_on) =
                    if next.starts_with('#') { ("\\", true) } else { (next, false) };
                whole.push('\n');
                whole.push_str(next);
                if !goes_on && next.is_empty() {
                    whole.push('\\');
                }
            }
            let whole = skip_heredoc(whole, &mut lines);
            let (name, rest) = whole.split_once(char::is_whitespace).unwrap_or((&whole, ""));
            let name = name.to_uppercase();
            if name == "FROM" && instructions.iter().any(|known| known.name == "FROM") {
                stage += 1;
            }
            instructions.push(Instruction {
                line: at + 1,
                name,
                text: rest.trim().to_owned(),
                stage,
            });
        }
        Self { path: path.clone(), instructions }
    }

    /// Whether it is an editor's, in which people develop.
    #[must_use]
    pub fn is_of_editor(&self) -> bool {
        super::run::is_of_editor(&self.path)
    }

    #[must_use]
    pub fn place(&self, instruction: &Instruction) -> Place {
        Place::line(self.path.clone(), instruction.line)
    }

    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Instruction> {
        self.instructions.iter().filter(move |instruction| instruction.name == name)
    }

    /// The instructions of the stage that an image is made from without a target.
    pub fn last_stage(&self) -> impl Iterator<Item = &Instruction> {
        let last = self.instructions.last().map_or(0, |instruction| instruction.stage);
        self.instructions.iter().filter(move |instruction| instruction.stage == last)
    }

    /// What an image starts: its entry point and its command, those of the stages that it is made from included.
    #[must_use]
    pub fn start(&self, target: Option<&str>) -> (Option<&Instruction>, Option<&Instruction>) {
        let (mut entry, mut command) = (None, None);
        let mut stage = target
            .and_then(|name| self.stage(name))
            .or_else(|| self.instructions.last().map(|instruction| instruction.stage));
        while let Some(at) = stage {
            let of_stage = |name: &str| {
                let such = |found: &&Instruction| found.stage == at && found.name == name;
                self.instructions.iter().rfind(such)
            };
            // An entry point takes the command away that the image below had.
            if entry.is_none() && command.is_none() {
                command = of_stage("CMD");
            }
            entry = entry.or_else(|| of_stage("ENTRYPOINT"));
            let base = of_stage("FROM").and_then(|from| base_of(from));
            stage = base.and_then(|name| self.stage(name)).filter(|below| *below < at);
        }
        (entry, command)
    }

    /// The number of the stage of that name.
    fn stage(&self, name: &str) -> Option<usize> {
        let found = self.named("FROM").find(|from| {
            let words: Vec<&str> = from.text.split_whitespace().collect();
            words.windows(2).any(|pair| {
                pair[0].eq_ignore_ascii_case("as") && pair[1].eq_ignore_ascii_case(name)
            })
        });
        found.map(|from| from.stage)
    }

    /// The image that a stage starts from, with the names of stages before it left out.
    pub fn bases(&self) -> impl Iterator<Item = (&Instruction, &str)> {
        let name = |instruction: &Instruction| {
            let words: Vec<&str> = instruction.text.split_whitespace().collect();
            let at = words.iter().position(|word| word.eq_ignore_ascii_case("as"))?;
            words.get(at + 1).map(|word| (*word).to_owned())
        };
        let stages: Vec<String> = self.named("FROM").filter_map(name).collect();
        self.named("FROM").filter_map(move |instruction| {
            let base = base_of(instruction)?;
            (!stages.iter().any(|stage| stage == base)).then_some((instruction, base))
        })
    }
}

impl Image {
    /// A name with the defaults of the arguments in it that stand before the first stage.
    #[must_use]
    pub fn resolve(&self, name: &str) -> String {
        let mut resolved = name.to_owned();
        let arguments = self.instructions.iter().take_while(|found| found.name != "FROM");
        for argument in arguments.filter(|found| found.name == "ARG") {
            let Some((key, value)) = argument.text.split_once('=') else { continue };
            let value = value.trim().trim_matches(['"', '\'']);
            resolved =
                resolved.replace(&format!("${{{key}}}"), value).replace(&format!("${key}"), value);
        }
        // `${NAME:-default}`
        while let Some((before, rest)) = resolved.split_once("${") {
            let Some((inner, after)) = rest.split_once('}') else { break };
            let Some((_, default)) = inner.split_once(":-") else { break };
            resolved = format!("{before}{default}{after}");
        }
        resolved
    }
}

/// What a `FROM` names.
fn base_of(from: &Instruction) -> Option<&str> {
    from.text.split_whitespace().find(|word| !word.starts_with("--"))
}

/// Leaves out the lines of a here-document, which belong to the instruction.
fn skip_heredoc<'t>(
    mut whole: String,
    lines: &mut std::iter::Peekable<impl Iterator<Item = (usize, &'t str)>>,
) -> String {
    let is_command = ["RUN", "COPY", "ADD"]
        .iter()
        .any(|name| whole.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
    let Some((_, after)) = whole.split_once("<<").filter(|_| is_command) else {
        return whole;
    };
    let word = after.trim_start_matches(['-', '"', '\'']);
    let end: String = word.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if end.is_empty() {
        return whole;
    }
    for (_, line) in lines.by_ref() {
        if line.trim() == end {
            break;
        }
        whole.push('\n');
        whole.push_str(line);
    }
    whole
}

/// The words of an instruction in JSON form; nothing where it is a shell's line.
#[must_use]
pub fn exec_form(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(&text.replace('\n', " ")).ok()
}
