//! Infrastructure as code, Terraform's and Bicep's: which version of an engine and of a runtime production asks for.

use super::{Backing, Facts, Runtime};
use crate::check::finding::Place;
use crate::check::lines::numbered;
use crate::check::sources::Sources;

/// Types of resources, or of engines, by a part of their name in lower case.
const RESOURCES: [(&str, &str); 12] = [
    ("postgres", "postgres"),
    ("mysql", "mysql"),
    ("mariadb", "mariadb"),
    ("redis", "redis"),
    ("valkey", "redis"),
    ("memcached", "memcached"),
    ("docdb", "mongodb"),
    ("mongo", "mongodb"),
    ("elasticsearch", "elasticsearch"),
    ("opensearch", "opensearch"),
    ("rabbitmq", "rabbitmq"),
    ("kafka", "kafka"),
];

/// Keys under which a version stands, in lower case.
const VERSIONS: [&str; 6] = [
    "version",
    "engine_version",
    "engineversion",
    "redisversion",
    "redis_version",
    "database_version",
];

/// Reads all of it.
pub fn read(sources: &Sources, facts: &mut Facts) {
    for (path, source) in sources.named(|name| name.ends_with(".tf") || name.ends_with(".bicep")) {
        let mut engine = None;
        for (number, line) in numbered(&source.text) {
            let lower = line.trim().to_lowercase();
            let place = || Place::line(path.clone(), number);
            if lower.starts_with("resource ") {
                // The type says it, and not the name that somebody gave.
                let of_type = lower.split(['"', '\'']).nth(1).unwrap_or_default();
                engine = find_engine(of_type);
            }
            let Some((key, value)) = lower.split_once(['=', ':']) else { continue };
            let value = value.trim().split([' ', ',']).next().unwrap_or_default();
            let Some(value) = value.trim_matches(['"', '\'']).split(['$', '{']).next() else {
                continue;
            };
            match key.trim() {
                "engine" => engine = find_engine(value),
                key if VERSIONS.contains(&key) => {
                    // `POSTGRES_16` names both.
                    let named = find_engine(value).or(engine);
                    if let Some(engine) = named.filter(|_| value.contains(|c: char| c.is_numeric()))
                    {
                        facts.backing.push(Backing {
                            place: place(),
                            engine: engine.to_owned(),
                            version: Some(value.replace('_', ".")),
                        });
                    }
                }
                "linuxfxversion" | "linux_fx_version" => {
                    let (name, version) = value.split_once('|').unwrap_or_default();
                    facts.runtimes.extend(runtime(place(), name, version));
                }
                key @ ("python_version" | "node_version") => {
                    let name = key.trim_end_matches("_version");
                    facts.runtimes.extend(runtime(place(), name, value));
                }
                _ => {}
            }
        }
    }
}

fn find_engine(text: &str) -> Option<&'static str> {
    RESOURCES.iter().find(|(part, _)| text.contains(part)).map(|(_, engine)| *engine)
}

fn runtime(place: Place, name: &str, text: &str) -> Option<Runtime> {
    let (version, is_minimum) = super::manifest::version(text)?;
    Some(Runtime { place, name: name.to_owned(), version, is_minimum, others: Vec::new() })
}
