//! Owns the cases as data (`tests/merge/<format>/<case>/`) and the properties of every merge.

use std::path::Path;
use std::{env, fs};

use super::{Conflict, Format, Lines, lines, merge};

mod properties;

/// Merges by the name of a folder under `tests/merge`.
fn merge_kind(kind: &str, base: &[u8], addition: &str) -> Result<String, Conflict> {
    match kind {
        "toml" => merge(Format::Toml, base, addition),
        "json" => merge(Format::Json, base, addition),
        "yaml" => merge(Format::Yaml, base, addition),
        "patterns" => lines(Lines::Patterns, base, addition),
        _ => lines(Lines::Named(':'), base, addition),
    }
}

/// `base` and `addition` give `merged`, or else `conflict`: its reason, an empty line, its snippet.
/// `DOZEN_BLESS=1 cargo test` writes what comes out.
#[test]
fn every_case_merges_as_its_folder_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/merge");
    let mut failures = Vec::new();
    for kind in ["toml", "json", "yaml", "patterns", "named"] {
        for case in fs::read_dir(root.join(kind)).unwrap() {
            let case = case.unwrap().path();
            let base = fs::read(case.join("base")).unwrap();
            let addition = fs::read_to_string(case.join("addition")).unwrap();
            let (name, other, text) = match merge_kind(kind, &base, &addition) {
                Ok(merged) => ("merged", "conflict", merged),
                Err(Conflict { reason, snippet }) => {
                    ("conflict", "merged", format!("{reason}\n\n{snippet}"))
                }
            };
            if env::var_os("DOZEN_BLESS").is_some() {
                fs::write(case.join(name), &text).unwrap();
                fs::remove_file(case.join(other)).ok();
            }
            match fs::read_to_string(case.join(name)) {
                Ok(wanted) if wanted == text => {}
                wanted => failures.push(format!("{}:\n{text}\nwanted: {wanted:?}", case.display())),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn the_format_follows_from_the_path() {
    assert_eq!(Format::of("a/b.toml"), Some(Format::Toml));
    assert_eq!(Format::of("tsconfig.JSON"), Some(Format::Json));
    assert_eq!(Format::of(".github/workflows/ci.yml"), Some(Format::Yaml));
    assert_eq!(Format::of("Procfile"), None);
    assert_eq!(Lines::of("app/Procfile.dev"), Lines::Named(':'));
    assert_eq!(Lines::of(".gitignore"), Lines::Patterns);
}

#[test]
fn hostile_files_end_as_a_conflict_or_merged() {
    let deep = |open: &str, close: &str| open.repeat(2_000) + &close.repeat(2_000);
    let bomb = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, index| {
        let before = index - 1;
        format!("{text}a{index}: &a{index} [*a{before}, *a{before}, *a{before}]\n")
    });
    let bases = [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        deep("a = [", "]"),
        deep("- ", ""),
        deep("a.", " = 1"),
        deep("? ", ""),
        deep("a: {", "}"),
        bomb,
    ];
    for base in bases {
        for kind in ["toml", "json", "yaml"] {
            merge_kind(kind, base.as_bytes(), "{\"b\": 1}").ok();
            merge_kind(kind, base.as_bytes(), "b = 1\n").ok();
            merge_kind(kind, b"b: 1\n", &base).ok();
        }
    }
}

#[test]
fn what_is_no_text_is_a_conflict() {
    for kind in ["toml", "json", "yaml", "patterns", "named"] {
        assert!(merge_kind(kind, b"\xff\xfe", "").is_err());
        assert!(merge_kind(kind, b"a\rb", "").is_err());
    }
}
