//! Rebuilds when a template or a rule appears or goes: `include_dir!` alone does not notice new files.

fn main() {
    println!("cargo::rerun-if-changed=templates");
    println!("cargo::rerun-if-changed=src/check/rules");
}
