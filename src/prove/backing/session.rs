//! Owns one conversation with a database, held open through its own command-line client.
//!
//! The client that comes with the server speaks every dialect of its wire protocol and keeps a transaction open
//! as long as the session lives: that is all that is needed here, so no driver is.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;

use crate::prove::probe::tether::{Leash, Tether};

const MARK: &str = "dozen-end-of-answer";
const LIMIT: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub struct Session {
    leash: Leash,
    input: ChildStdin,
    rows: Receiver<String>,
    complaints: Arc<Mutex<String>>,
}

impl Session {
    /// Opens it with a client that reads statements from its input and prints bare rows.
    pub fn open(tether: &Arc<Tether>, mut client: Command) -> Result<Self> {
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut leash = tether.spawn(&mut client)?;
        let input = leash.child.stdin.take().context("the client's input")?;
        let output = leash.child.stdout.take().context("the client's output")?;
        let errors = leash.child.stderr.take().context("the client's errors")?;
        let (sender, rows) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let complaints = Arc::new(Mutex::new(String::new()));
        let noted = Arc::clone(&complaints);
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let mut noted = noted.lock();
                noted.push_str(&line);
                noted.push('\n');
            }
        });
        Ok(Self { leash, input, rows, complaints })
    }

    /// Runs the statements and gives the rows, columns separated by tabs.
    pub fn run(&mut self, statements: &str) -> Result<Vec<String>> {
        let sent = writeln!(self.input, "{statements};\nSELECT '{MARK}';");
        let begun = Instant::now();
        let mut rows = Vec::new();
        loop {
            match self.rows.recv_timeout(LIMIT.saturating_sub(begun.elapsed())) {
                Ok(row) if row == MARK => return Ok(rows),
                Ok(row) => rows.push(row),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the database did not answer within {LIMIT:?}: {statements}")
                }
                Err(RecvTimeoutError::Disconnected) => {
                    // Both clients end at the first error; what they said arrives with their end.
                    self.leash.wait(Duration::from_secs(2))?;
                    thread::sleep(Duration::from_millis(20));
                    let said = self.complaints.lock().clone();
                    bail!("the database refused: {said}({sent:?}) in: {statements}");
                }
            }
        }
    }
}
