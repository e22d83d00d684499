//! What the tests share: a folder of their own, `dozen` in a clean environment, and a tree as data.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

pub const DOZEN: &str = env!("CARGO_BIN_EXE_dozen");

/// dozen's own folder in a repository, which is no part of it.
pub const OWN_FOLDER: &str = ".dozen";

/// What dozen may leave while it works, and never when it is done.
pub const WORK_FOLDER: &str = ".dozen/work";

/// What a repository of dozen's has: of such a one, `add` lays every file of a factor, whatever `check` says.
pub const RECORD: &str = "[answers]\nname = \"shop\"\nstack = \"python\"\n";

/// What stands at a path: a file's bytes and mode, or where a link leads; folders have neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub bytes: Option<Vec<u8>>,
    pub mode: u32,
    pub link: Option<PathBuf>,
}

pub type Snapshot = BTreeMap<PathBuf, Node>;

/// A folder for one test, with a home of its own beside the place where the test works.
pub struct Place {
    _guard: TempDir,
    base: PathBuf,
}

/// What a run of `dozen` came to.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new() -> Self {
        Self::inside(&std::env::temp_dir())
    }

    /// A place in memory, where there is one: for what is done hundreds of times, and waits for the disk.
    /// No program can be started from there.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        match TempDir::new_in(memory) {
            Ok(_) => Self::inside(memory),
            Err(_) => Self::new(),
        }
    }

    /// A place whose folders lie in `folder`, such as a small file system.
    pub fn inside(folder: &Path) -> Self {
        let guard = TempDir::with_prefix_in("dozen-test-", folder).unwrap();
        let base = guard.path().canonicalize().unwrap();
        for folder in ["home/.config", "work"] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        fs::write(
            base.join("home/gitconfig"),
            "[user]\n\tname = Tess Ter\n\temail = tess@example.org\n",
        )
        .unwrap();
        Self { _guard: guard, base }
    }

    /// Where the test works.
    pub fn work(&self) -> PathBuf {
        self.base.join("work")
    }

    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.work().join(relative)
    }

    pub fn home(&self) -> PathBuf {
        self.base.join("home")
    }

    pub fn git_config(&self) -> PathBuf {
        self.home().join("gitconfig")
    }

    /// The user's own defaults.
    pub fn user_config(&self) -> PathBuf {
        self.home().join(".config/dozen/config.toml")
    }

    /// Writes a file below the place of work, with the folders above it.
    pub fn write(&self, relative: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        write(&path, bytes);
        path
    }

    /// A command that sees nothing of whoever runs the tests but the PATH.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("XDG_CONFIG_HOME", self.home().join(".config"))
            .env("GIT_CONFIG_GLOBAL", self.git_config())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .current_dir(self.work())
            .stdin(Stdio::null());
        // Where the tests are measured, so is what they run.
        if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", profile);
        }
        command
    }

    pub fn dozen<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(DOZEN);
        command.args(arguments);
        command
    }

    /// Runs `dozen` to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        run(&mut self.dozen(arguments))
    }

    /// Runs `dozen`, which must succeed.
    pub fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        self.run(arguments).expect(0)
    }

    /// Runs `git` in a folder below the place of work; returns what it prints.
    pub fn git(&self, folder: impl AsRef<Path>, arguments: &[&str]) -> String {
        let run = run(self.command("git").args(arguments).current_dir(self.path(folder)));
        assert_eq!(run.code, Some(0), "git {arguments:?}: {run:?}");
        run.out
    }
}

impl Run {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
        self
    }

    /// Fails unless stderr holds every one of `parts`.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.err.contains(part), "`{part}` is not in: {self:#?}");
        }
        self
    }

    /// Fails unless stdout holds every one of `parts`.
    #[track_caller]
    pub fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.out.contains(part), "`{part}` is not in: {self:#?}");
        }
        self
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

pub fn run(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Run {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

pub fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Everything below `root`, but for what is inside `.git` and dozen's own folder.
pub fn snapshot(root: &Path) -> Snapshot {
    let mut found = Snapshot::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.file_name() == Some(OsStr::new(OWN_FOLDER)) {
                continue;
            }
            let data = fs::symlink_metadata(&path).unwrap();
            let node = Node {
                bytes: data.is_file().then(|| fs::read(&path).unwrap()),
                mode: data.permissions().mode() & 0o7777,
                link: data.is_symlink().then(|| fs::read_link(&path).unwrap()),
            };
            if data.is_dir() && path.file_name() != Some(OsStr::new(".git")) {
                open.push(path.clone());
            }
            found.insert(path.strip_prefix(root).unwrap().to_owned(), node);
        }
    }
    found
}

/// As [`snapshot`], without `.git` itself.
pub fn snapshot_files(root: &Path) -> Snapshot {
    let mut found = snapshot(root);
    found.remove(Path::new(".git"));
    found
}

/// Fails unless what dozen has of its own at `root` is whole: nothing, or what an undo needs.
#[track_caller]
pub fn assert_tidy(root: &Path, when: &str) {
    let own = root.join(OWN_FOLDER);
    if own.exists() {
        assert_eq!(names(&own), [".gitignore", "undo"], "{when}");
        assert_eq!(names(&own.join("undo")), ["backup", "journal.json"], "{when}");
    }
}

/// The text of a file below `root`.
pub fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Writes a line past the test harness, which shows no output of a test that passes.
pub fn say(text: &str) {
    io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Says that a test did not run. On CI that is a failure: what it needs is to be installed there.
pub fn skip(why: &str) {
    say(&format!("SKIPPED: {why}"));
    assert!(std::env::var_os("CI").is_none(), "not skipped on CI: {why}");
}

pub fn has_program(name: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(name).is_file())
}

/// The stacks, and every combination of the options, as `dozen list --json` tells them.
pub fn list_combinations(place: &Place) -> Vec<Vec<(String, String)>> {
    let catalogue = place.ok(["list", "--json"]).json();
    let values = |of: &serde_json::Value, key: &str| -> Vec<String> {
        of.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
    };
    let mut combinations: Vec<Vec<(String, String)>> = values(&catalogue["stacks"], "stack")
        .into_iter()
        .map(|stack| vec![("stack".to_owned(), stack)])
        .collect();
    for option in catalogue["options"].as_array().unwrap() {
        let key = option["option"].as_str().unwrap();
        combinations = combinations
            .into_iter()
            .flat_map(|so_far| {
                values(&option["choices"], "value").into_iter().map(move |value| {
                    let mut one = so_far.clone();
                    one.push((key.to_owned(), value));
                    one
                })
            })
            .collect();
    }
    combinations
}

/// The slugs and the titles of the stacks, in their order.
pub fn list_stacks(place: &Place) -> Vec<(String, String)> {
    let catalogue = place.ok(["list", "--json"]).json();
    let text = |stack: &serde_json::Value, key: &str| stack[key].as_str().unwrap().to_owned();
    let stacks = catalogue["stacks"].as_array().unwrap();
    stacks.iter().map(|stack| (text(stack, "stack"), text(stack, "title"))).collect()
}

/// The slugs of the twelve, in their order.
pub fn list_factors(place: &Place) -> Vec<String> {
    let catalogue = place.ok(["list", "--json"]).json();
    let factors = catalogue["factors"].as_array().unwrap();
    factors.iter().map(|factor| factor["factor"].as_str().unwrap().to_owned()).collect()
}
