//! Owns the reading of `/proc`: process trees, listening sockets, files open for writing.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One process at one moment; with its start time, so that a recycled pid is not mistaken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub pid: i32,
    pub name: String,
    state: char,
    parent: i32,
    group: i32,
    started: u64,
}

impl Entry {
    #[must_use]
    pub fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may itself hold spaces and parentheses.
        let (head, tail) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = tail.split(' ').collect();
        Some(Self {
            pid,
            name: head.split_once(" (")?.1.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// Still the same process, and not merely waiting to be reaped.
    #[must_use]
    pub fn still_runs(&self) -> bool {
        Self::read(self.pid).is_some_and(|now| now.started == self.started && now.state != 'Z')
    }
}

fn all() -> Vec<Entry> {
    let Ok(folder) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    folder
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Entry::read)
        .collect()
}

/// How long a process has been ready to run while no core was free for it.
#[must_use]
pub fn starved(pid: i32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let nanoseconds = text.split_whitespace().nth(1);
    let nanoseconds = nanoseconds.and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// Whether it runs, or would if there were a core for it.
#[must_use]
pub fn is_ready(pid: i32) -> bool {
    Entry::read(pid).is_some_and(|entry| entry.state == 'R')
}

/// How much of a core's time its threads have used.
#[must_use]
pub fn worked(pid: i32) -> Duration {
    // In hundredths of a second, whatever the kernel counts in itself.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let tail = stat.rsplit_once(") ").map_or("", |(_, tail)| tail);
    let ticks =
        tail.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// Whether the server behind a port has accepted the connection that comes from another, and read all that came.
#[must_use]
pub fn has_read(server: u16, client: u16) -> bool {
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|path| {
        let table = fs::read_to_string(path).unwrap_or_default();
        table.lines().any(|row| is_read_through(row, server, client))
    })
}

/// Whether a row is that connection, of a socket that a process has, with nothing left to read.
fn is_read_through(row: &str, server: u16, client: u16) -> bool {
    let fields: Vec<&str> = row.split_whitespace().collect();
    let port = |at: usize| {
        let (_, port) = fields.get(at)?.split_once(':')?;
        u16::from_str_radix(port, 16).ok()
    };
    let unread = fields.get(4).and_then(|queues| queues.split_once(':')).map(|(_, unread)| unread);
    port(1) == Some(server)
        && port(2) == Some(client)
        && unread.is_some_and(|unread| unread.bytes().all(|byte| byte == b'0'))
        && fields.get(9).is_some_and(|inode| *inode != "0")
}

/// The children of a process, their children, and so on; without itself.
#[must_use]
pub fn descendants(root: i32) -> Vec<Entry> {
    let everyone = all();
    let mut parents = vec![root];
    let mut found: Vec<Entry> = Vec::new();
    while let Some(parent) = parents.pop() {
        for entry in everyone.iter().filter(|entry| entry.parent == parent) {
            parents.push(entry.pid);
            found.push(entry.clone());
        }
    }
    found
}

/// Everyone whose current folder lies in this one.
#[must_use]
pub fn working_in(folder: &Path) -> Vec<Entry> {
    let mut everyone = all();
    everyone.retain(|entry| {
        fs::read_link(format!("/proc/{}/cwd", entry.pid)).is_ok_and(|cwd| cwd.starts_with(folder))
    });
    everyone
}

/// Everyone in a process group who runs.
#[must_use]
pub fn members(group: i32) -> Vec<Entry> {
    let mut everyone = all();
    everyone.retain(|entry| entry.group == group && entry.state != 'Z');
    everyone
}

/// The TCP addresses that any of the processes listens on.
#[must_use]
pub fn listening(pids: &[i32]) -> BTreeSet<SocketAddr> {
    let theirs: BTreeSet<u64> = pids.iter().flat_map(|pid| socket_inodes(*pid)).collect();
    if theirs.is_empty() {
        return BTreeSet::new();
    }
    listeners()
        .into_iter()
        .filter(|(_, inode)| theirs.contains(inode))
        .map(|(address, _)| address)
        .collect()
}

pub fn threads(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Whether anybody on this machine listens on the port.
#[must_use]
pub fn is_taken(port: u16) -> bool {
    listeners().iter().any(|(address, _)| address.port() == port)
}

/// The regular files that a process holds open for writing.
#[must_use]
pub fn open_for_writing(pid: i32) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    folder
        .flatten()
        .filter(|entry| {
            let number = entry.file_name();
            let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number.display()));
            info.is_ok_and(|info| is_writable(&info))
        })
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        // Sockets, pipes and anonymous memory show as `socket:[…]`; devices and shared memory are no files.
        .filter(|path| path.is_absolute())
        .filter(|path| {
            let path = path.to_string_lossy();
            !["/dev/", "/proc/", "/memfd:"].iter().any(|prefix| path.starts_with(prefix))
        })
        .collect()
}

fn is_writable(info: &str) -> bool {
    info.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & 0o3 != 0)
}

fn socket_inodes(pid: i32) -> Vec<u64> {
    let Ok(folder) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    folder
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|target| {
            let target = target.to_str()?.to_owned();
            let inode = target.strip_prefix("socket:[")?.strip_suffix(']')?;
            inode.parse().ok()
        })
        .collect()
}

fn listeners() -> Vec<(SocketAddr, u64)> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| table.lines().filter_map(parse_listener).collect::<Vec<_>>())
        .collect()
}

fn parse_listener(row: &str) -> Option<(SocketAddr, u64)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = row.split_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (address, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let inode = fields.get(9)?.parse().ok()?;
    // The kernel prints each 32-bit word of the address in the machine's byte order.
    let words: Vec<u8> = (0..address.len() / 8)
        .filter_map(|word| u32::from_str_radix(&address[word * 8..word * 8 + 8], 16).ok())
        .flat_map(u32::to_ne_bytes)
        .collect();
    let ip = if let Ok(v4) = <[u8; 4]>::try_from(words.as_slice()) {
        IpAddr::V4(Ipv4Addr::from(v4))
    } else {
        IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words.as_slice()).ok()?))
    };
    Some((SocketAddr::new(ip, port), inode))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_is_read_once_it_is_accepted_and_its_bytes_are_taken() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = server.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let from = client.local_addr().unwrap().port();
        client.write_all(b"GET").unwrap();
        assert!(!has_read(address.port(), from), "nobody has accepted it");
        let (mut accepted, _) = server.accept().unwrap();
        assert!(!has_read(address.port(), from), "nobody has read what came");
        accepted.read_exact(&mut [0; 3]).unwrap();
        assert!(has_read(address.port(), from));
    }

    #[test]
    fn work_is_counted() {
        let own = i32::try_from(std::process::id()).unwrap();
        let before = worked(own);
        while worked(own) < before + Duration::from_millis(20) {
            std::hint::black_box((0..10_000).sum::<u64>());
        }
    }
}
