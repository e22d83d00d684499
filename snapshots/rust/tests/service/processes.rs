use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop");
const PROCFILE: &str = include_str!("../../Procfile");
const LIMIT: Duration = Duration::from_mins(1);

struct Process(Child);

impl Process {
    /// Starts a line of the Procfile with these variables besides those of the environment.
    fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let mut lines = PROCFILE.lines().filter_map(|line| line.split_once(": "));
        let (_, line) = lines.find(|(known, _)| *known == name).unwrap();
        let mut command = Command::new(PROGRAM);
        command
            .args(line.split(' ').skip(1))
            .env("LOG_LEVEL", "info")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    fn read_line(&mut self) -> String {
        let mut line = Vec::new();
        let stdout = self.0.stdout.as_mut().unwrap();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            stdout.read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        String::from_utf8(line).unwrap()
    }

    /// Waits for its end; gives its exit code and the messages that it logged.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < LIMIT, "it did not end");
            sleep(Duration::from_millis(20));
        };
        let mut errors = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(errors, "");
        let lines = BufReader::new(self.0.stdout.take().unwrap()).lines();
        let messages = lines.map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
            assert!(line["level"].is_string(), "{line}");
            line["message"].as_str().unwrap().to_owned()
        });
        (status.code(), messages.collect())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn take_port() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    (listener, port)
}

fn connect(port: &str) -> TcpStream {
    let started = Instant::now();
    loop {
        match TcpStream::connect(format!("127.0.0.1:{port}")) {
            Ok(connection) => {
                connection.set_read_timeout(Some(LIMIT)).unwrap();
                return connection;
            }
            Err(error) => assert!(started.elapsed() < LIMIT, "{error}"),
        }
        sleep(Duration::from_millis(20));
    }
}

fn expect_ok(connection: &mut TcpStream) {
    let mut answer = [0; 4096];
    let length = connection.read(&mut answer).unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
}

#[test]
fn every_process_checks_its_configuration() {
    for name in ["web", "worker", "release"] {
        let process = Process::start(name, &[("DATABASE_URL", ""), ("PORT", "none")]);
        assert_eq!(process.end(), (Some(1), vec!["invalid configuration".to_owned()]), "{name}");
    }
}

#[test]
fn migrations_may_run_at_once() {
    let releases = [(); 2].map(|()| Process::start("release", &[]));
    for release in releases {
        assert_eq!(release.end().0, Some(0));
    }
}

#[test]
fn worker_stops() {
    for signal in ["TERM", "INT"] {
        let mut worker = Process::start("worker", &[]);
        assert!(worker.read_line().contains("worker started"));
        worker.signal(signal);
        assert_eq!(worker.end(), (Some(0), vec!["worker stopped".to_owned()]), "{signal}");
    }
}

#[test]
fn web_answers_what_was_begun_before_it_stops() {
    for (signal, concurrency) in [("TERM", "1"), ("INT", "2")] {
        let (_, port) = take_port();
        let variables = [("PORT", port.as_str()), ("WEB_CONCURRENCY", concurrency)];
        let web = Process::start("web", &variables);
        let (mut idle, mut begun) = (connect(&port), connect(&port));
        idle.write_all(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        expect_ok(&mut idle);
        begun.write_all(b"GET /livez HTTP/1.1\r\n").unwrap();
        sleep(Duration::from_millis(500));
        web.signal(signal);
        sleep(Duration::from_millis(500));
        begun.write_all(b"Host: test\r\n\r\n").unwrap();
        expect_ok(&mut begun);
        let (code, messages) = web.end();
        assert_eq!(code, Some(0));
        assert!(messages.contains(&"request".to_owned()), "{messages:?}");
        let refused = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn web_names_a_port_in_use() {
    let (_listener, port) = take_port();
    let web = Process::start("web", &[("PORT", &port)]);
    assert_eq!(web.end(), (Some(1), vec!["cannot listen".to_owned()]));
}
