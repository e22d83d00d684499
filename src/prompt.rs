//! The only user of dialoguer: asks what is open, goes back where wanted, and ends with a review.

use std::io;

use console::{Key, Term, style};
use dialoguer::Select;
use dialoguer::theme::{ColorfulTheme, Theme};

use crate::answers::question::{NAME, Question};
use crate::answers::{Answers, Draft};
use crate::error::{Error, Result};
use crate::interrupt;

const BACK: &str = "← back";

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

struct Prompter<'a> {
    term: Term,
    theme: ColorfulTheme,
    check: &'a dyn Fn(&str) -> Result<()>,
}

impl Prompter<'_> {
    fn ask_open(&self, draft: &mut Draft) -> Result<()> {
        let open: Vec<Question> = draft
            .questions()
            .iter()
            .filter(|question| draft.get(&question.key).is_none())
            .cloned()
            .collect();
        let mut at = 0;
        while let Some(question) = open.get(at) {
            match self.ask_one(question, draft, at > 0)? {
                Reply::Answer(value) => {
                    draft.replace(&question.key, value);
                    at += 1;
                }
                Reply::Back => at -= 1,
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
            let answers = match draft.complete() {
                Ok(answers) => answers,
                Err(error @ Error::Name { .. }) => {
                    self.explain(&error)?;
                    self.change(&mut draft, 0)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
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
            match chosen.checked_sub(1) {
                None => return Ok(answers),
                Some(number) => self.change(&mut draft, number)?,
            }
        }
    }

    fn change(&self, draft: &mut Draft, number: usize) -> Result<()> {
        if let Some(question) = draft.questions().get(number).cloned()
            && let Reply::Answer(value) = self.ask_one(&question, draft, true)?
        {
            draft.replace(&question.key, value);
        }
        Ok(())
    }

    fn ask_one(&self, question: &Question, draft: &Draft, may_go_back: bool) -> Result<Reply> {
        let current = draft.get(&question.key).map(|answer| answer.value.as_str());
        if question.choices.is_empty() {
            return self.ask_text(question, current, draft);
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
            .or(question.default.as_deref())
            .and_then(|value| question.choices.iter().position(|choice| choice.value == value))
            .unwrap_or(0);
        let chosen = self.select(&question.prompt, &items, preset)?;
        Ok(question
            .choices
            .get(chosen)
            .map_or(Reply::Back, |choice| Reply::Answer(choice.value.clone())))
    }

    fn select(&self, prompt: &str, items: &[String], preset: usize) -> Result<usize> {
        let chosen = Select::with_theme(&self.theme)
            .with_prompt(prompt)
            .items(items)
            .default(preset)
            .interact_on_opt(&self.term);
        match chosen {
            Ok(Some(chosen)) => Ok(chosen),
            Ok(None) => Err(Error::Interrupted),
            Err(dialoguer::Error::IO(error)) => Err(interruption(error)),
        }
    }

    /// A line of text. dialoguer's own prompt has no Escape, so its theme only draws this one.
    fn ask_text(&self, question: &Question, current: Option<&str>, draft: &Draft) -> Result<Reply> {
        loop {
            let mut prompt = String::new();
            self.theme
                .format_input_prompt(&mut prompt, &question.prompt, current)
                .map_err(io::Error::other)?;
            self.term.write_str(&prompt)?;
            let typed = self.read_line()?;
            let text = match (typed.trim(), current) {
                ("", Some(current)) => current,
                (typed, _) => typed,
            };
            let checked = if question.key == NAME {
                draft.check_name(text).map(drop).and_then(|()| (self.check)(text))
            } else {
                Ok(())
            };
            match checked {
                Ok(()) => return Ok(Reply::Answer(text.to_owned())),
                Err(error) => self.explain(&error)?,
            }
        }
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

    fn explain(&self, error: &Error) -> Result<()> {
        let mut text = String::new();
        self.theme
            .format_error(&mut text, &error.to_string().replace("\n\n", ". "))
            .map_err(io::Error::other)?;
        self.term.write_line(&text)?;
        Ok(())
    }
}

fn interruption(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => Error::Interrupted,
        _ => Error::Output(error),
    }
}
