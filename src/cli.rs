//! The command line: the clap types, nothing else.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::error::Result as ClapResult;
use clap::parser::ValueSource;
use clap::{
    Arg, ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint,
};
use clap_complete::Shell;

use crate::answers::question::{NAME, Question};
use crate::check::finding::FailOn;
use crate::factor::Factor;

/// Every factor, where `add` takes factors.
pub const ALL: &str = "all";

const EXIT_CODES: &str = "\
Exit codes:
    0  done, or nothing to do
    1  the answer is no: findings, drift, a proof that failed
    2  the command line or the answers are wrong
    3  a conflict that a person must decide
    4  something that is needed is missing on this machine
  130  interrupted";

/// Twelve-factor services: rendered, and added to what is there.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Render a new repository: asks at a terminal, never asks without one
    New(New),
    /// Give an existing repository what it lacks of a factor
    Add(Add),
    /// Take the last `add` back
    Undo(Undo),
    /// Say for each factor whether a repository holds to it, with the lines that decide it
    Check(Check),
    /// Build and run it, and test the twelve factors from outside
    Prove(Prove),
    /// List the factors, the stacks and the options
    List(List),
    /// Say what a factor asks and what dozen does for it, or what a rule of `check` finds
    Explain(Explain),
    /// Print the JSON schema of what --json prints
    Schema,
    /// Print a completion script for a shell
    Completions { shell: Shell },
    /// Print the manual page, of dozen or of one command
    Man { command: Option<String> },
}

#[derive(Debug, Args)]
pub struct New {
    #[command(flatten)]
    pub answers: AnswerFlags,

    /// The folder to make, instead of ./NAME
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub into: Option<PathBuf>,

    /// Answers from a TOML file, such as another repository's dozen.toml
    #[arg(long = "answers", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,

    /// One answer, by the key of its question; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Ask nothing: take the default of what is not answered
    #[arg(long, short)]
    pub yes: bool,

    /// Make no git repository
    #[arg(long)]
    pub no_git: bool,

    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Add {
    /// One or more of the twelve, or `all`
    #[arg(value_name = "FACTOR", value_parser = Choices::of_factors_and(ALL))]
    pub factors: Vec<String>,

    /// The repository
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub path: PathBuf,

    /// Its stack, where its files do not tell
    #[arg(long)]
    pub stack: Option<String>,

    /// Write a dozen.toml, too, that says how its processes are started, for `prove` and for you to go on with
    #[arg(long)]
    pub record: bool,

    #[command(flatten)]
    pub writing: Writing,

    #[command(flatten)]
    pub output: Output,
}

/// What lies between a plan and the disk.
#[derive(Clone, Debug, Args)]
pub struct Writing {
    /// Ask nothing: take every change, and run nothing. So it is without a terminal, too
    #[arg(long, short)]
    pub yes: bool,

    /// What becomes of the rest where a file is in conflict [default: ask at a terminal, else abort]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub on_conflict: Option<OnConflict>,

    /// Change files that have changes which are not committed
    #[arg(long)]
    pub allow_dirty: bool,

    #[command(flatten)]
    pub locks: Locks,

    /// Run this in a changed copy first; write nothing if it fails
    #[arg(long, value_name = "COMMAND")]
    pub verify: Option<String>,

    /// Write the changes as a patch for `git apply` instead (`-`: to stdout)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["dry_run", "diff", "json"])]
    pub patch: Option<PathBuf>,
}

/// Whether package managers are run.
#[derive(Clone, Copy, Debug, Args)]
pub struct Locks {
    /// Have the project's own package manager make the locks, in a copy; it may use the network [default: ask at a
    /// terminal, else say what to run]
    #[arg(long)]
    pub lock: bool,

    /// Run no package manager, and say what to run
    #[arg(long, conflicts_with = "lock")]
    pub no_lock: bool,
}

/// What becomes of a plan where a file is in conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnConflict {
    /// Ask about each; without a terminal as `abort`
    Ask,
    /// Write the rest, name what is left, and exit with 3
    Skip,
    /// Write nothing, and exit with 3
    Abort,
}

#[derive(Debug, Args)]
pub struct Undo {
    /// The repository
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub path: PathBuf,

    /// Take back what was changed since, too
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Check {
    /// The repository
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    pub path: PathBuf,

    /// Judge this factor only; may be repeated
    #[arg(long = "factor", value_name = "FACTOR", value_parser = Choices::of_factors())]
    pub factors: Vec<String>,

    /// How to print it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,

    /// Print one JSON object; `dozen schema` describes it
    #[arg(long, conflicts_with = "format")]
    pub json: bool,

    /// Write it to a file instead of stdout
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// From which verdict on the exit code is 1
    #[arg(long, value_enum, default_value_t, value_name = "VERDICT")]
    pub fail_on: FailOn,

    /// Findings to let be, instead of .dozen-check.toml in the repository
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub baseline: Option<PathBuf>,

    /// Write what is found now as the baseline; add a reason to each entry
    #[arg(long, conflicts_with_all = ["json", "format", "output"])]
    pub write_baseline: bool,
}

/// How a report of `check` is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One object, which `dozen schema` describes
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

#[derive(Debug, Args)]
pub struct Prove {
    /// The repository
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    pub path: PathBuf,

    /// Only these of the twelve; may be repeated
    #[arg(long = "factor", value_name = "FACTOR", value_parser = Choices::of_factors())]
    pub factors: Vec<String>,

    /// How the web process is started, instead of what the repository says
    #[arg(long, value_name = "COMMAND")]
    pub web: Option<String>,

    /// How the worker is started
    #[arg(long, value_name = "COMMAND")]
    pub worker: Option<String>,

    /// How the database is migrated
    #[arg(long, value_name = "COMMAND")]
    pub release: Option<String>,

    /// How it is installed and built; may be repeated
    #[arg(long, value_name = "COMMAND")]
    pub build: Vec<String>,

    /// A variable of the service; `{database.url}`, `{redis.url}`, `{port}` and `{secret}` are filled in
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,

    /// Variables from a file of such lines
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Option<PathBuf>,

    /// The path that says whether it is ready [default: /readyz, /health and their like, else an open port]
    #[arg(long, value_name = "PATH")]
    pub ready: Option<String>,

    /// The database to start for it [default: what the repository names]
    #[arg(long, value_name = "ENGINE", value_parser = ["postgres", "mysql"])]
    pub database: Option<String>,

    /// Build the container image and prove that, instead of a native build
    #[arg(long)]
    pub image: bool,

    /// Write the report that CI systems read, in XML as test runners do
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,

    /// Count what could not be tested as a failure
    #[arg(long)]
    pub strict: bool,

    /// Print one JSON object; `dozen schema` describes it
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// One of the twelve, or a rule that `check` names
    #[arg(value_name = "FACTOR|RULE", value_parser = Choices::of_factors())]
    pub subject: String,

    /// For this stack only; default: the one of the repository here, or all
    #[arg(long)]
    pub stack: Option<String>,
}

/// How a plan is shown.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// Show what would be done and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Show every change as a diff
    #[arg(long)]
    pub diff: bool,

    /// Print one JSON object and ask nothing; `dozen schema` describes it
    #[arg(long, conflicts_with = "diff")]
    pub json: bool,
}

/// A flag and an environment variable for each question: made from the questions, not declared here.
#[derive(Debug, Default)]
pub struct AnswerFlags {
    /// What was given as an argument.
    pub flags: Vec<(Question, String)>,
    /// What the environment gives.
    pub environment: Vec<(Question, String)>,
}

impl Args for AnswerFlags {
    fn augment_args(mut command: Command) -> Command {
        // A build with broken data has no questions; the command then says so by itself.
        for question in Question::all().unwrap_or_default() {
            let mut argument = Arg::new(question.key.clone())
                .env(question.variable())
                .hide_env_values(true)
                .help(help(&question));
            if question.key == NAME {
                argument = argument.value_name("NAME");
            } else {
                let values = question.choices.iter().map(|choice| choice.value.clone()).collect();
                argument = argument
                    .long(question.key.clone())
                    .value_name(question.key.to_uppercase())
                    .value_parser(Choices(values));
            }
            command = command.arg(argument);
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn help(question: &Question) -> String {
    match &question.default {
        Some(default) => format!("{} [default: {default}]", question.about),
        None => question.about.clone(),
    }
}

/// Takes any text, as `answers` checks it wherever it comes from; help and completions know the choices.
#[derive(Clone)]
struct Choices(Vec<String>);

impl Choices {
    fn of_factors() -> Self {
        Self(Factor::ALL.map(|factor| factor.slug().to_owned()).to_vec())
    }

    fn of_factors_and(more: &str) -> Self {
        let Self(mut choices) = Self::of_factors();
        choices.push(more.to_owned());
        Self(choices)
    }
}

impl TypedValueParser for Choices {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> ClapResult<String> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}

impl FromArgMatches for AnswerFlags {
    fn from_arg_matches(matches: &ArgMatches) -> ClapResult<Self> {
        let mut given = Self::default();
        for question in Question::all().unwrap_or_default() {
            let Some(value) = matches.get_one::<String>(&question.key).cloned() else {
                continue;
            };
            match matches.value_source(&question.key) {
                Some(ValueSource::EnvVariable) if value.is_empty() => {}
                Some(ValueSource::EnvVariable) => given.environment.push((question, value)),
                _ => given.flags.push((question, value)),
            }
        }
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> ClapResult<()> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
