//! What is run while a release is built: commands of platforms, scripts of manifests, `RUN` of images.

use super::Facts;
use super::run::{Kind, Role, Run, Stage, is_migration};
use crate::check::document::Node;
use crate::check::finding::Place;
use crate::check::sources::Sources;
use crate::tree::RepoPath;

/// Scripts of a manifest that platforms run when they build.
const SCRIPTS: [&str; 9] = [
    "build",
    "postbuild",
    "prebuild",
    "postinstall",
    "heroku-postbuild",
    "vercel-build",
    "gcp-build",
    "render-build",
    "railway-build",
];

/// Where platforms are told how to build: the file, the keys to the commands, the last of them the command's.
const COMMANDS: [(&str, &[&str]); 8] = [
    ("railway.json", &["build", "buildCommand"]),
    ("railway.toml", &["build", "buildCommand"]),
    ("vercel.json", &["buildCommand"]),
    ("netlify.toml", &["build", "command"]),
    ("nixpacks.toml", &["phases", "build", "cmds"]),
    ("apprunner.yaml", &["build", "commands", "build"]),
    (".platform.app.yaml", &["hooks", "build"]),
    ("nixpacks.toml", &["phases", "install", "cmds"]),
];

/// Reads all of it.
pub fn read(sources: &Sources, facts: &mut Facts) {
    let mut found = Vec::new();
    for (path, node) in facts.documents(|_| true) {
        let name = path.file_name();
        for (_, keys) in COMMANDS.iter().filter(|(file, _)| *file == name) {
            let Some((last, above)) = keys.split_last() else { continue };
            if let Some(entry) = node.at(above).and_then(|node| node.get(last)) {
                let items = entry.value.items().iter().map(|item| (item.line, item.text()));
                let all = std::iter::once((entry.line, entry.value.text())).chain(items);
                let texts = all.filter_map(|(line, text)| Some((line, text?)));
                found.extend(texts.map(|(line, text)| build(path, line, text)));
            }
        }
        let key = match name {
            "render.yaml" | "render.yml" => "buildCommand",
            "app.yaml" | "app.yml" | "spec.yaml" => "build_command",
            _ => continue,
        };
        for kind in ["services", "workers", "jobs"] {
            let items = node.at(&[kind]).map(Node::items).unwrap_or_default();
            let commands = items.iter().filter_map(|item| item.get(key));
            found.extend(
                commands.filter_map(|entry| Some(build(path, entry.line, entry.value.text()?))),
            );
        }
    }
    for app in &facts.apps {
        for script in app.scripts.iter().filter(|script| SCRIPTS.contains(&script.name.as_str())) {
            found.push(build(&app.manifest, script.line, &script.command));
        }
    }
    for image in facts.images.iter().filter(|image| !image.is_of_editor()) {
        for run in image.named("RUN").filter(|run| is_migration(&run.text)) {
            let mut run = build(&image.path, run.line, &run.text);
            run.image = Some(image.path.clone());
            found.push(run);
        }
    }
    // What Heroku runs after it has built.
    for name in ["bin/post_compile", "build.sh"] {
        if let Some((path, source)) = sources.find(name)
            && is_migration(&source.text)
        {
            found.push(build(path, 1, name));
        }
    }
    facts.builds = found;
}

fn build(path: &RepoPath, line: usize, command: &str) -> Run {
    let mut run = Run::new(Kind::Platform, Place::line(path.clone(), line), "build", command);
    run.role = Role::Build;
    run.stage = Stage::Production;
    run
}
