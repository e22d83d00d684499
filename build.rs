//! Rebuilds when a template appears or goes: `include_dir!` alone does not notice new files.

fn main() {
    println!("cargo::rerun-if-changed=templates");
}
