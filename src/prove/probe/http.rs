//! Owns a small HTTP/1.1 client on loopback that can also do what a client should not: half a request, silence,
//! garbage.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::diary;
use super::procfs;

const TIMEOUT: Duration = Duration::from_mins(1);

/// What is told of a request.
fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| b"\r\n".contains(byte)).next().unwrap_or_default();
    let shown = String::from_utf8_lossy(&line[..line.len().min(120)]).escape_debug().to_string();
    shown.trim_end_matches(" HTTP/1.1").to_owned()
}

/// A text as it stands in a URL or a form.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: impl Into<Vec<u8>>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn get(target: impl Into<Vec<u8>>) -> Self {
        Self::new("GET", target)
    }

    #[must_use]
    pub fn post(target: &str, body: &Value) -> Self {
        Self::post_bytes(target, body.to_string())
    }

    /// A body that says it is JSON, whatever it is.
    pub fn post_bytes(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).header("Content-Type", "application/json").body(body)
    }

    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    #[must_use]
    pub fn form(self, fields: &BTreeMap<String, String>) -> Self {
        let pairs: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
            .collect();
        self.header("Content-Type", "application/x-www-form-urlencoded").body(pairs.join("&"))
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// `GET /readyz`
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.method, String::from_utf8_lossy(&self.target))
    }

    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} ", self.method).into_bytes();
        bytes.extend(&self.target);
        bytes.extend(b" HTTP/1.1\r\nHost: 127.0.0.1\r\n");
        for (name, value) in &self.headers {
            bytes.extend(name.as_bytes());
            bytes.extend(b": ");
            bytes.extend(value);
            bytes.extend(b"\r\n");
        }
        let has_length = self.headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("Content-Length")
                || name.eq_ignore_ascii_case("Transfer-Encoding")
        });
        if !has_length && (!self.body.is_empty() || self.method == "POST") {
            bytes.extend(format!("Content-Length: {}\r\n", self.body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    asked: String,
}

impl Answer {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The cookie it sets, as a client sends it back.
    #[must_use]
    pub fn cookie(&self) -> Option<String> {
        let cookie = self.header("Set-Cookie")?;
        Some(cookie.split(';').next().unwrap_or(cookie).trim().to_owned())
    }

    /// All the cookies it sets, as a client sends them back.
    #[must_use]
    pub fn cookies(&self) -> Option<String> {
        let set = |(name, value): &(String, String)| {
            let is_cookie = name.eq_ignore_ascii_case("Set-Cookie");
            is_cookie.then(|| value.split(';').next().unwrap_or_default().trim().to_owned())
        };
        let cookies: Vec<String> = self.headers.iter().filter_map(set).collect();
        (!cookies.is_empty()).then(|| cookies.join("; "))
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{self} is not JSON, as it should be"))
    }

    pub fn expect(&self, status: u16) -> Result<&Self> {
        if self.status != status {
            bail!("expected {status}, got {self}");
        }
        Ok(self)
    }

    pub fn expect_one_of(&self, statuses: &[u16]) -> Result<&Self> {
        if !statuses.contains(&self.status) {
            bail!("expected one of {statuses:?}, got {self}");
        }
        Ok(self)
    }

    /// Expects an error as RFC 9457 has it.
    pub fn expect_problem(&self, status: u16) -> Result<&Self> {
        self.expect(status)?;
        let kind = self.header("Content-Type").unwrap_or_default();
        let media_type = kind.split(';').next().unwrap_or_default().trim();
        if media_type != "application/problem+json" {
            bail!("expected application/problem+json, got {kind:?} in {self}");
        }
        let problem = self.json()?;
        if !problem.is_object() {
            bail!("a problem is a JSON object, not {self}");
        }
        if problem.get("status").is_some_and(|said| said.as_u64() != Some(status.into())) {
            bail!("the problem's `status` is not the answer's: {self}");
        }
        for member in ["type", "title", "detail", "instance"] {
            if problem.get(member).is_some_and(|said| !said.is_string()) {
                bail!("the problem's `{member}` is not a string: {self}");
            }
        }
        if problem.get("type").is_none() && problem.get("title").is_none() {
            bail!("the problem has neither `type` nor `title`: {self}");
        }
        Ok(self)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.text().chars().take(300).collect();
        write!(formatter, "{} with the body {body:?} to {}", self.status, self.asked)?;
        if self.status == 429 {
            formatter.write_str(
                " (it limits how often it is asked: set that limit higher, with --env)",
            )?;
        }
        Ok(())
    }
}

/// One connection, kept open until dropped.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    asked: String,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new(), asked: String::new() })
    }

    pub fn send(&mut self, request: &Request) -> Result<()> {
        let bytes = request.to_bytes();
        self.send_bytes(&bytes).context("send a request")
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let line = first_line(bytes);
        diary::note(format!("send {line}"));
        // The rest of a request that was half sent is no other one.
        if self.asked.is_empty() {
            self.asked = line;
        }
        self.stream.write_all(bytes)
    }

    /// Sends a request whose answer may come before all of it is sent, and gives that answer.
    pub fn exchange(mut self, request: &Request) -> Result<Answer> {
        let bytes = request.to_bytes();
        self.asked = first_line(&bytes);
        let mut writing = self.stream.try_clone()?;
        let writer = std::thread::spawn(move || {
            // A server that refuses a body need not read it to its end.
            let _ = writing.write_all(&bytes);
        });
        let answer = self.receive_to(&request.method);
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = writer.join();
        answer
    }

    /// Whether the server has accepted it and read all that was sent.
    pub fn is_read(&self) -> io::Result<bool> {
        let (server, own) = (self.stream.peer_addr()?, self.stream.local_addr()?);
        Ok(procfs::has_read(server.port(), own.port()))
    }

    /// Tells the other side that no more will come.
    pub fn finish_sending(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    pub fn receive(&mut self) -> Result<Answer> {
        self.receive_to("GET")
    }

    /// Waits for the first bytes of an answer, which stay to be received.
    pub fn receive_some(&mut self) -> Result<()> {
        if self.received.is_empty() {
            self.read_more().with_context(|| format!("read the answer to {}", self.asked))?;
        }
        Ok(())
    }

    fn receive_to(&mut self, method: &str) -> Result<Answer> {
        loop {
            let answer = self
                .receive_one(method)
                .with_context(|| format!("read the answer to {}", self.asked))?;
            // 100 Continue and the like come before the answer.
            if answer.status >= 200 {
                self.asked.clear();
                return Ok(answer);
            }
        }
    }

    fn receive_one(&mut self, method: &str) -> Result<Answer> {
        let end = loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end;
            }
            self.read_more()?;
        };
        let head = String::from_utf8_lossy(&self.received[..end]).into_owned();
        self.received.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .with_context(|| format!("{status_line:?} is no status line"))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: Vec::new(), asked: self.asked.clone() };
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Ok(answer);
        }
        answer.body = if let Some(length) = answer.header("Content-Length") {
            let length: usize = length.parse().context("Content-Length")?;
            self.read_exactly(length)?
        } else if answer
            .header("Transfer-Encoding")
            .is_some_and(|encoding| encoding.eq_ignore_ascii_case("chunked"))
        {
            self.read_chunks()?
        } else {
            self.read_to_end()?
        };
        Ok(answer)
    }

    fn read_chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = find(&self.received, b"\r\n") {
                    break end;
                }
                self.read_more()?;
            };
            let size = String::from_utf8_lossy(&self.received[..end]).into_owned();
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).context("a chunk's size")?;
            self.received.drain(..end + 2);
            body.extend(self.read_exactly(size)?);
            self.read_exactly(2)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn read_exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.received.len() < length {
            let got = self.received.len();
            self.read_more().with_context(|| format!("{got} of {length} bytes arrived"))?;
        }
        Ok(self.received.drain(..length).collect())
    }

    fn read_to_end(&mut self) -> Result<Vec<u8>> {
        self.stream.read_to_end(&mut self.received)?;
        Ok(std::mem::take(&mut self.received))
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let count = loop {
            match self.stream.read(&mut buffer) {
                // The kernel never goes on by itself with a read that has a timeout.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let said = format!("no byte came for {} s", TIMEOUT.as_secs());
                    return Err(io::Error::new(ErrorKind::TimedOut, said));
                }
                other => break other?,
            }
        };
        if count == 0 {
            return Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the connection was closed before the answer was complete",
            ));
        }
        self.received.extend(&buffer[..count]);
        Ok(())
    }
}

/// Whether an answer failed to come because the other side closed the connection.
#[must_use]
pub fn is_closed_early(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)
    })
}

/// How a server met a new connection.
#[derive(Debug)]
pub enum Met {
    /// Not accepted, or closed without a byte: nobody is there any more.
    Refused,
    Answered(Answer),
}

/// Sends requests, each over a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    cookie: Option<Vec<u8>>,
}

impl Client {
    #[must_use]
    pub fn of(port: u16) -> Self {
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), cookie: None }
    }

    #[must_use]
    pub fn with_cookie(&self, cookie: impl Into<Vec<u8>>) -> Self {
        Self { address: self.address, cookie: Some(cookie.into()) }
    }

    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.address).with_context(|| format!("connect to {}", self.address))
    }

    pub fn send(&self, request: &Request) -> Result<Answer> {
        let mut request = request.clone().header("Connection", "close");
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie.clone());
        }
        let answer = self.connect()?.exchange(&request)?;
        diary::note(format!("{} → {}", request.line(), answer.status));
        Ok(answer)
    }

    pub fn get(&self, target: &str) -> Result<Answer> {
        self.send(&Request::get(target))
    }

    pub fn post(&self, target: &str, body: &Value) -> Result<Answer> {
        self.send(&Request::post(target, body))
    }

    pub fn delete(&self, target: &str) -> Result<Answer> {
        self.send(&Request::new("DELETE", target))
    }

    /// Tries a new connection, and tells a refusal from an answer.
    pub fn knock(&self, target: &str) -> Result<Met> {
        let Ok(mut connection) = Connection::open(self.address) else {
            return Ok(Met::Refused);
        };
        let request = Request::get(target).header("Connection", "close");
        if connection.send(&request).is_err() {
            return Ok(Met::Refused);
        }
        match connection.receive() {
            Ok(answer) => Ok(Met::Answered(answer)),
            // The queue of a listening socket is reset when the socket closes.
            Err(_) if connection.received.is_empty() && connection.is_closed() => Ok(Met::Refused),
            Err(error) => Err(error),
        }
    }
}

impl Connection {
    /// Whether the other side has closed it.
    pub fn is_closed(&mut self) -> bool {
        match self.read_more() {
            Ok(()) => false,
            Err(error) => !matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
            ),
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
