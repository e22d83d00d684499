//! The only user of dialoguer: asks what is open, goes back where wanted, and ends with a review; and asks which of
//! a plan's changes are wanted.

use std::fmt;
use std::io;
use std::mem;

use console::{Key, Term, style};
use dialoguer::Select;
use dialoguer::theme::{ColorfulTheme, Theme};

use crate::answers::question::{NAME, Question, STACK};
use crate::answers::{Answers, Draft};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::plan::{Change, Plan};

const BACK: &str = "← back";
const NAME_PROMPT: &str = "Name";

/// What one prompt came to.
enum Reply {
    Answer(String),
    Back,
}

/// Asks the questions that `draft` leaves open, then shows all answers until they are confirmed.
/// `check` says what is wrong with a name beside its form; `summary` what will be done.
///
/// # Errors
/// [`Error::Interrupted`] on Ctrl-C and Escape.
pub fn ask(
    mut draft: Draft,
    check: &dyn Fn(&str) -> Result<()>,
    summary: &dyn Fn(&Answers) -> Result<String>,
) -> Result<Answers> {
    interrupt::listen();
    let prompter = Prompter { term: Term::stderr(), theme: ColorfulTheme::default(), check };
    let answers = prompter.ask_open(&mut draft).and_then(|()| prompter.review(draft, summary));
    // dialoguer hides the cursor and forgets it where a read is interrupted.
    prompter.term.show_cursor()?;
    answers
}

/// What a key stands for where a change is asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Yes,
    No,
    Diff,
    All,
    Keep,
    Take,
}

const OF_CHANGE: [(char, &str, Choice); 4] = [
    ('y', "yes", Choice::Yes),
    ('n', "no", Choice::No),
    ('d', "diff", Choice::Diff),
    ('a', "all", Choice::All),
];
const OF_CONFLICT: [(char, &str, Choice); 3] = [
    ('k', "keep mine", Choice::Keep),
    ('t', "take dozen's", Choice::Take),
    ('d', "diff", Choice::Diff),
];
const QUIT: char = 'q';

/// Asks about each change, and each conflict if that is wanted, by single keys. Returns what is left of the plan:
/// a conflict is left where the user keeps the file. `diff` shows a change.
///
/// # Errors
/// [`Error::Interrupted`] on `q`, Ctrl-C and Escape: then nothing is to be written at all.
pub fn choose(plan: Plan, about_conflicts: bool, diff: &dyn Fn(&Change) -> String) -> Result<Plan> {
    interrupt::listen();
    let chooser = Chooser { term: Term::stderr(), theme: ColorfulTheme::default(), diff };
    let chosen = chooser.choose(plan, about_conflicts);
    // As after the questions of `new`.
    chooser.term.show_cursor()?;
    chosen
}

/// Asks for leave.
///
/// # Errors
/// As [`choose`].
pub fn confirm(question: &str) -> Result<bool> {
    interrupt::listen();
    let diff: &dyn Fn(&Change) -> String = &|_| String::new();
    let chooser = Chooser { term: Term::stderr(), theme: ColorfulTheme::default(), diff };
    let choice = chooser.ask(question, &OF_CHANGE[..2], None);
    chooser.term.show_cursor()?;
    Ok(choice? == Choice::Yes)
}

struct Chooser<'a> {
    term: Term,
    theme: ColorfulTheme,
    diff: &'a dyn Fn(&Change) -> String,
}

impl Chooser<'_> {
    fn choose(&self, mut plan: Plan, about_conflicts: bool) -> Result<Plan> {
        let (mut wanted, mut left) = (Vec::new(), Vec::new());
        for conflict in mem::take(&mut plan.conflicts) {
            let question = format!("{}: {}", conflict.path, conflict.reason);
            let replacement = conflict.replacement.as_ref();
            let choices = if replacement.is_some() { &OF_CONFLICT[..] } else { &OF_CONFLICT[..1] };
            if about_conflicts && self.ask(&question, choices, replacement)? == Choice::Take {
                wanted.extend(conflict.replacement);
            } else {
                left.push(conflict);
            }
        }
        let mut takes_all = false;
        for change in mem::take(&mut plan.changes) {
            let question = format!("{} {}?", change.kind(), change.path);
            let choice = if takes_all {
                Choice::Yes
            } else {
                self.ask(&question, &OF_CHANGE, Some(&change))?
            };
            takes_all |= choice == Choice::All;
            if choice != Choice::No {
                wanted.push(change);
            }
        }
        wanted.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Plan { changes: wanted, conflicts: left, ..plan })
    }

    /// Asks until a key decides; that of the diff shows it and asks again.
    fn ask(
        &self,
        question: &str,
        choices: &[(char, &str, Choice)],
        change: Option<&Change>,
    ) -> Result<Choice> {
        let keys: Vec<String> = choices
            .iter()
            .map(|(key, name, _)| format!("{key} {name}"))
            .chain([format!("{QUIT} quit")])
            .collect();
        loop {
            let mut line = String::new();
            self.theme
                .format_input_prompt(&mut line, question, Some(&keys.join(", ")))
                .map_err(io::Error::other)?;
            self.term.write_str(&line)?;
            let (name, choice) = self.read_choice(choices)?;
            self.term.clear_line()?;
            if choice == Choice::Diff {
                let shown = change.map(self.diff).unwrap_or_default();
                self.term.write_line(shown.trim_end())?;
                continue;
            }
            let mut line = String::new();
            self.theme
                .format_input_prompt_selection(&mut line, question, name)
                .map_err(io::Error::other)?;
            self.term.write_line(&line)?;
            return Ok(choice);
        }
    }

    fn read_choice<'c>(&self, choices: &[(char, &'c str, Choice)]) -> Result<(&'c str, Choice)> {
        loop {
            match self.term.read_key().map_err(interruption)? {
                Key::Char(typed) => {
                    let typed = typed.to_ascii_lowercase();
                    if let Some((_, name, choice)) = choices.iter().find(|(key, ..)| *key == typed)
                    {
                        return Ok((name, *choice));
                    }
                    if typed == QUIT {
                        self.term.write_line("")?;
                        return Err(Error::Interrupted);
                    }
                }
                Key::Escape => {
                    self.term.write_line("")?;
                    return Err(Error::Interrupted);
                }
                _ => {}
            }
        }
    }
}

struct Prompter<'a> {
    term: Term,
    theme: ColorfulTheme,
    check: &'a dyn Fn(&str) -> Result<()>,
}

impl Prompter<'_> {
    fn ask_open(&self, draft: &mut Draft) -> Result<()> {
        self.mend_name(draft)?;
        let open: Vec<Question> = draft
            .questions()
            .iter()
            .filter(|question| question.asked && draft.get(&question.key).is_none())
            .cloned()
            .collect();
        let mut at = 0;
        while let Some(question) = open.get(at) {
            match self.ask_one(question, draft, at > 0)? {
                Reply::Answer(value) => {
                    self.accept(draft, question, value)?;
                    at += 1;
                }
                Reply::Back => {
                    // The answer that is taken back is the last line.
                    self.term.clear_last_lines(1)?;
                    at -= 1;
                }
            }
        }
        Ok(())
    }

    fn review(
        &self,
        mut draft: Draft,
        summary: &dyn Fn(&Answers) -> Result<String>,
    ) -> Result<Answers> {
        loop {
            self.mend_name(&mut draft)?;
            let answers = draft.complete()?;
            let questions = draft.questions();
            let width = questions.iter().map(|question| question.prompt.len()).max().unwrap_or(0);
            let mut items = vec![style("Create it").bold().for_stderr().to_string()];
            items.extend(questions.iter().zip(answers.entries()).map(|(question, (_, value))| {
                let prompt = &question.prompt;
                format!("{} {prompt:<width$}  {value}", style("change").dim().for_stderr())
            }));
            self.term.write_line("")?;
            self.term.write_line(&summary(&answers)?)?;
            let chosen = self.select("Is this right?", &items, 0)?;
            match chosen.checked_sub(1).and_then(|number| questions.get(number).cloned()) {
                None => {
                    self.term.write_line("")?;
                    return Ok(answers);
                }
                Some(question) => {
                    if let Reply::Answer(value) = self.ask_one(&question, &draft, true)? {
                        self.accept(&mut draft, &question, value)?;
                    }
                }
            }
        }
    }

    fn accept(&self, draft: &mut Draft, question: &Question, value: String) -> Result<()> {
        draft.replace(&question.key, value);
        if question.key == STACK { self.mend_name(draft) } else { Ok(()) }
    }

    /// Asks for another name where the one that is given breaks a rule, such as one of the stack's.
    fn mend_name(&self, draft: &mut Draft) -> Result<()> {
        let Some(given) = draft.get(NAME).map(|answer| answer.value.clone()) else {
            return Ok(());
        };
        if let Err(error) = self.check_name(draft, &given) {
            let proposal = self.explain(&error)?;
            let name = self.ask_name(draft, proposal)?;
            draft.replace(NAME, name);
        }
        Ok(())
    }

    fn ask_one(&self, question: &Question, draft: &Draft, may_go_back: bool) -> Result<Reply> {
        let current = draft.get(&question.key).map(|answer| answer.value.clone());
        if question.key == NAME {
            return self.ask_name(draft, current).map(Reply::Answer);
        }
        let width = question.choices.iter().map(|choice| choice.title.len()).max().unwrap_or(0);
        let mut items: Vec<String> = question
            .choices
            .iter()
            .map(|choice| {
                let about = style(&choice.about).dim().for_stderr();
                format!("{:<width$}  {about}", choice.title)
            })
            .collect();
        if may_go_back {
            items.push(style(BACK).dim().for_stderr().to_string());
        }
        let preset = current
            .or_else(|| question.default.clone())
            .and_then(|value| question.choices.iter().position(|choice| choice.value == value))
            .unwrap_or(0);
        let chosen = self.select(&question.prompt, &items, preset)?;
        let Some(choice) = question.choices.get(chosen) else {
            return Ok(Reply::Back);
        };
        self.draw(|theme, text| {
            theme.format_select_prompt_selection(text, &question.prompt, &choice.title)
        })?;
        Ok(Reply::Answer(choice.value.clone()))
    }

    fn select(&self, prompt: &str, items: &[String], preset: usize) -> Result<usize> {
        let chosen = Select::with_theme(&self.theme)
            .with_prompt(prompt)
            .items(items)
            .default(preset)
            .report(false)
            .interact_on_opt(&self.term);
        match chosen {
            Ok(Some(chosen)) => Ok(chosen),
            Ok(None) => Err(Error::Interrupted),
            Err(dialoguer::Error::IO(error)) => Err(interruption(error)),
        }
    }

    /// Asks until the name breaks no rule; Enter alone takes `preset`.
    /// dialoguer's own text prompt has no Escape, so its theme only draws this one.
    fn ask_name(&self, draft: &Draft, mut preset: Option<String>) -> Result<String> {
        loop {
            let mut prompt = String::new();
            self.theme
                .format_input_prompt(&mut prompt, NAME_PROMPT, preset.as_deref())
                .map_err(io::Error::other)?;
            self.term.write_str(&prompt)?;
            let typed = self.read_line()?;
            let name = match (typed.trim(), preset) {
                ("", Some(preset)) => preset,
                (typed, _) => typed.to_owned(),
            };
            match self.check_name(draft, &name) {
                Ok(()) => {
                    self.term.clear_last_lines(1)?;
                    self.draw(|theme, text| {
                        theme.format_input_prompt_selection(text, NAME_PROMPT, &name)
                    })?;
                    return Ok(name);
                }
                Err(error) => preset = self.explain(&error)?,
            }
        }
    }

    fn check_name(&self, draft: &Draft, name: &str) -> Result<()> {
        draft.check_name(name)?;
        (self.check)(name)
    }

    fn read_line(&self) -> Result<String> {
        let mut line = String::new();
        loop {
            match self.term.read_key().map_err(interruption)? {
                Key::Enter => {
                    self.term.write_line("")?;
                    return Ok(line);
                }
                Key::Escape => {
                    self.term.write_line("")?;
                    return Err(Error::Interrupted);
                }
                Key::Backspace => {
                    if let Some(last) = line.pop() {
                        let width = console::measure_text_width(last.encode_utf8(&mut [0; 4]));
                        self.term.clear_chars(width)?;
                    }
                }
                Key::Char(typed) if !typed.is_control() => {
                    line.push(typed);
                    self.term.write_str(typed.encode_utf8(&mut [0; 4]))?;
                }
                _ => {}
            }
        }
    }

    /// Shows what is wrong with a name. Returns the one that is proposed instead.
    fn explain(&self, error: &Error) -> Result<Option<String>> {
        let (text, proposal) = match error {
            Error::Name { given, rejection, .. } => {
                (format!("`{given}`: {}", rejection.rule), Some(rejection.proposal.clone()))
            }
            _ => (error.to_string().replace("\n\n", ". "), None),
        };
        self.draw(|theme, line| theme.format_error(line, &text))?;
        Ok(proposal)
    }

    fn draw(&self, format: impl FnOnce(&ColorfulTheme, &mut String) -> fmt::Result) -> Result<()> {
        let mut line = String::new();
        format(&self.theme, &mut line).map_err(io::Error::other)?;
        self.term.write_line(&line)?;
        Ok(())
    }
}

fn interruption(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => Error::Interrupted,
        _ => Error::Output(error),
    }
}
