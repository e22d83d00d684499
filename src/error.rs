//! Everything that can go wrong for a user: one variant each, with its data, its remedy and its exit code.

use std::io;
use std::path::PathBuf;

use crate::answers::name::Rejection;
use crate::answers::question::Question;
use crate::factor::Factor;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How a command ends; `--help` documents it, scripts rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    Done = 0,
    No = 1,
    Usage = 2,
    Conflict = 3,
    Missing = 4,
    Interrupted = 130,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no factor `{given}`{}\n\nThe twelve: {}", suggest(.given, &Factor::ALL.map(Factor::slug)), Factor::ALL.map(Factor::slug).join(", "))]
    UnknownFactor { given: String },

    #[error("there is no factor and no rule `{given}`{}\n\nThe factors: {}\n`dozen check` names the rules.", suggest(.given, &known_subjects(.rules)), Factor::ALL.map(Factor::slug).join(", "))]
    UnknownSubject { given: String, rules: Vec<String> },

    #[error("there is no stack `{given}`{}\n\nThe stacks: {}", suggest(.given, .known), .known.join(", "))]
    UnknownStack { given: String, known: Vec<String> },

    #[error("there is no command `{given}`{}\n\nThe commands: {}", suggest(.given, .known), .known.join(", "))]
    UnknownVerb { given: String, known: Vec<String> },

    #[error("`{key}`, given by {by}, is not a question of `new`{}\n\nThe questions: {}", suggest(.key, .known), .known.join(", "))]
    UnknownAnswer { key: String, by: String, known: Vec<String> },

    #[error("`{given}`, given by {by}, is no choice of `{key}`{}\n\nThe choices: {}", suggest(.given, .known), .known.join(", "))]
    UnknownChoice { key: String, given: String, by: String, known: Vec<String> },

    #[error("`{0}` is not of the form KEY=VALUE\n\nFor example: --set database=mysql")]
    SetSyntax(String),

    #[error("{}\n\n{}", count_open(.0), list_open(.0))]
    Unanswered(Vec<Question>),

    #[error("`{given}` cannot be the name of a {stack} service: {}\n\nThis one can: {}", .rejection.rule, .rejection.proposal)]
    Name { given: String, stack: String, rejection: Rejection },

    #[error("cannot read `{}`: {reason}", .path.display())]
    Malformed { path: PathBuf, reason: String },

    #[error("cannot read `{}`: {error}\n\nCheck that it is there and that you may read it.", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },

    #[error("cannot write `{}`: {error}\n\nNothing was changed. {}", .path.display(), remedy_for_write(.error))]
    Unwritable { path: PathBuf, error: io::Error },

    #[error("cannot write `{}`: {error}\n\nChoose another place with --output, --baseline or --patch.", .path.display())]
    OutputFile { path: PathBuf, error: io::Error },

    #[error("`{}` exists and is not empty\n\nChoose another folder with --into DIR; to upgrade the repository that is there, run `dozen add` in it.", .0.display())]
    NotEmpty(PathBuf),

    #[error("`{}` exists and is not a folder\n\nChoose another place with --into DIR.", .0.display())]
    NotAFolder(PathBuf),

    #[error("`{0}` is not a path inside a repository: it must be relative, without `..`")]
    Path(String),

    #[error("cannot tell what `{}` is: it has no manifest of a stack that dozen knows\n\nRun it in the repository's root, or name the stack with --stack {}.", .path.display(), .known.join("|"))]
    UnknownRepository { path: PathBuf, known: Vec<String> },

    #[error("`{}` changed while dozen was at work; nothing was written\n\nRun the command again: it plans anew from what is there now.", .0.display())]
    Changed(PathBuf),

    #[error("`{}` leads through a symbolic link; dozen writes nothing through links\n\nReplace the link by a real folder or file, or make the change by hand.", .0.display())]
    Link(PathBuf),

    #[error("another dozen is at work in `{}`\n\nWait until it has ended, then run the command again.", .0.display())]
    Busy(PathBuf),

    #[error("an interrupted `dozen` left `{}` half changed, and `{}` was edited since\n\nThe contents from before are kept in `{}`; put back what you need, then remove that folder.", .path.display(), .file.display(), .backup.display())]
    Unrecoverable { path: PathBuf, file: PathBuf, backup: PathBuf },

    #[error("`{}` is not what a dozen left here: it came with the repository, or was copied\n\nLook at what is in it, then remove it.", .0.display())]
    Foreign(PathBuf),

    #[error(
        "git is not on the PATH\n\nInstall git, or pass --no-git to render without a repository."
    )]
    GitMissing,

    #[error(
        "`git {command}` failed: {reason}\n\nNothing was created. Pass --no-git to render without a repository."
    )]
    Git { command: String, reason: String },

    #[error(
        "cannot tell what of `{}` is committed: {reason}\n\nMend that, or pass --allow-dirty to change files whether they are or not.", .path.display()
    )]
    GitStatus { path: PathBuf, reason: String },

    #[error(
        "`{command}` failed in a changed copy ({status}); nothing was written\n\n{last}\n\nMend what it says and run the command again, or leave the factor out that breaks it."
    )]
    Verify { command: String, status: String, last: String },

    #[error("cannot run `{command}`: {error}\n\n--verify is run by `sh -c`; nothing was written.")]
    Unrunnable { command: String, error: io::Error },

    #[error(
        "cannot use `{path}` of this build of dozen: {reason}\n\nThis is a defect of dozen; please report it."
    )]
    Embedded { path: String, reason: String },

    #[error("cannot tell how the web process of `{}` is started\n\nGive it with --web 'COMMAND', or name it in a Procfile or under [processes] in dozen.toml.", .path.display())]
    NoWeb { path: PathBuf },

    #[error("`{given}` is not of the form NAME=VALUE\n\nFor example: --env API_TOKEN=abc")]
    EnvSyntax { given: String },

    #[error("cannot run services on this machine: {reason}")]
    Prove { reason: String },

    #[error("interrupted; nothing was changed")]
    Interrupted,

    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Interrupted => ExitCode::Interrupted,
            Self::Changed(_)
            | Self::Link(_)
            | Self::Busy(_)
            | Self::Foreign(_)
            | Self::Unrecoverable { .. } => ExitCode::Conflict,
            Self::GitMissing
            | Self::Git { .. }
            | Self::GitStatus { .. }
            | Self::Unrunnable { .. }
            | Self::Unwritable { .. }
            | Self::OutputFile { .. }
            | Self::Prove { .. } => ExitCode::Missing,
            Self::Embedded { .. } | Self::Output(_) | Self::Verify { .. } => ExitCode::No,
            _ => ExitCode::Usage,
        }
    }
}

/// `; did you mean …?` where one of `known` is close to `given`, else nothing.
fn suggest<S: AsRef<str>>(given: &str, known: &[S]) -> String {
    known
        .iter()
        .map(|word| (strsim::jaro_winkler(given, word.as_ref()), word.as_ref()))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| format!("; did you mean `{word}`?"))
        .unwrap_or_default()
}

fn known_subjects(rules: &[String]) -> Vec<&str> {
    let mut known: Vec<&str> = Factor::ALL.iter().map(|factor| factor.slug()).collect();
    known.extend(rules.iter().map(String::as_str));
    known
}

fn count_open(open: &[Question]) -> String {
    match open {
        [one] => format!("one answer is missing: {}", one.key),
        _ => format!(
            "{} answers are missing: {}",
            open.len(),
            open.iter().map(|q| q.key.as_str()).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn list_open(open: &[Question]) -> String {
    let mut lines: Vec<String> = open
        .iter()
        .map(|question| {
            let values = question.values().join("|");
            let flag = format!("{} {values}", question.flag());
            format!("  {:<40} or {}", flag.trim_end(), question.variable())
        })
        .collect();
    if open.iter().any(|question| question.default.is_some()) {
        lines.push(
            "  --yes                                    takes the defaults of those that have one"
                .into(),
        );
    }
    lines.join("\n")
}

fn remedy_for_write(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "Choose a folder that you may write to, or change its permissions."
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "Free some space, then run the command again."
        }
        _ => "Mend that, then run the command again.",
    }
}
