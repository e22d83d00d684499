//! Owns what processes wrote: every line with its stream and the time it arrived, also after they are gone.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use parking_lot::Mutex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug, Clone)]
pub struct Line {
    pub stream: Stream,
    pub text: String,
    pub arrived: SystemTime,
}

/// The lines of one process so far.
#[derive(Debug, Clone, Default)]
pub struct Output(Arc<Mutex<Vec<Line>>>);

impl Output {
    /// Reads a stream to its end, in a thread of its own, and tells of every line.
    pub fn follow(
        &self,
        stream: Stream,
        source: impl Read + Send + 'static,
        tell: impl Fn() + Send + 'static,
    ) -> JoinHandle<()> {
        let output = self.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut bytes = Vec::new();
            while source.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
                let arrived = SystemTime::now();
                let text = String::from_utf8_lossy(&bytes);
                let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
                output.0.lock().push(Line { stream, text, arrived });
                bytes.clear();
                tell();
            }
        })
    }

    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.0.lock().clone()
    }

    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.0.lock().iter() {
            text.push_str(&line.text);
            text.push('\n');
        }
        text
    }
}

/// What one process wrote from its start to its end.
#[derive(Debug, Clone)]
pub struct Transcript {
    pub process: String,
    pub lines: Vec<Line>,
}

impl Transcript {
    /// Its last lines, to stand beneath a failure.
    #[must_use]
    pub fn tail(&self) -> String {
        const SHOWN: usize = 12;
        const WIDTH: usize = 600;
        let from = self.lines.len().saturating_sub(SHOWN);
        let mut tail = format!("last output of {}:", self.process);
        if self.lines.is_empty() {
            tail.push_str(" none");
        }
        for line in &self.lines[from..] {
            let mark = match line.stream {
                Stream::Stdout => "|",
                Stream::Stderr => "stderr|",
            };
            let text: String = line.text.chars().take(WIDTH).collect();
            let _ = write!(tail, "\n    {mark} {text}");
        }
        tail
    }
}

/// Where the transcripts of a trial, or of a whole setting, are kept.
#[derive(Debug, Clone, Default)]
pub struct Book(Arc<Mutex<Vec<Transcript>>>);

impl Book {
    pub fn enter(&self, transcript: Transcript) {
        self.0.lock().push(transcript);
    }

    #[must_use]
    pub fn transcripts(&self) -> Vec<Transcript> {
        self.0.lock().clone()
    }
}
