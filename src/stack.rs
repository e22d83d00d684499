//! The stacks: a folder of `templates/` with a `stack.toml` is one.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::answers::name::Reserved;
use crate::error::{Error, Result};
use crate::factor::Factor;
use crate::service::detect;
use crate::templates;
use crate::tree::Tree;

/// What `templates/<slug>/stack.toml` says, whatever the service is called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// The name of its folder.
    #[serde(skip)]
    pub slug: String,
    pub title: String,
    /// What it is made of, in one line.
    pub about: String,
    /// The place in lists; the lowest first.
    pub order: u8,
    /// What dozen does for each factor here, with the paths; the text of `explain` and of the README.
    pub does: BTreeMap<Factor, String>,
    pub detect: Detection,
}

#[derive(Deserialize)]
struct ReservedFile {
    reserved: Vec<Reserved>,
}

/// How a repository that dozen did not make is read. A sign is a file's name, or `file#a.b` for a key
/// in a TOML or JSON file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detection {
    /// Files of which one at the root tells the language.
    pub manifests: Vec<String>,
    /// A file that must stand there as well: such a stack is tried before those without one.
    pub marker: Option<String>,
    /// A dependency that will do in the marker's place.
    pub dependency: Option<String>,
    /// Where the service's name stands, the first that is there.
    pub names: Vec<String>,
    /// Where the runtime's version stands, the first that is there.
    pub runtimes: Vec<String>,
    /// The package manager, by its lock file.
    pub package_managers: Vec<Known>,
    /// The framework, by a dependency's name.
    pub frameworks: Vec<Known>,
    /// Engines, by the name of a client among the dependencies.
    pub clients: Vec<Known>,
    /// The web process, where no Procfile tells it; `{}` stands for what the sign says.
    pub web: Vec<Known>,
    /// The migration, by a sign; `{}` as above.
    pub migrations: Vec<Known>,
    /// How it is installed and built, by what stands there; the first that fits.
    pub builds: Vec<Build>,
    /// How the names of source files end.
    pub sources: Vec<String>,
    /// Regular expressions of environment variables being read; their first group is the name, or the names
    /// with commas between them.
    pub reads_variable: Vec<String>,
}

/// Commands that make a clone ready to run, without a shell.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub sign: String,
    pub run: Vec<String>,
    /// Where they put the programs.
    #[serde(default)]
    pub bin: Option<String>,
    /// What an interpreter may write beside the code.
    #[serde(default)]
    pub caches: Vec<String>,
}

impl Detection {
    /// How the repository in `tree` is installed and built, as far as its files tell.
    #[must_use]
    pub fn find_build(&self, tree: &Tree) -> Option<&Build> {
        self.builds.iter().find(|build| detect::look_up(tree, &build.sign).is_some())
    }
}

/// A sign in a repository and what it says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    pub sign: String,
    pub says: String,
}

impl Stack {
    /// Every stack of this build, in order.
    ///
    /// # Errors
    /// An embedded `stack.toml` is broken: a defect of this build.
    pub fn all() -> Result<Vec<Self>> {
        let mut stacks = templates::stack_slugs().map(Self::read).collect::<Result<Vec<_>>>()?;
        stacks.sort_by_key(|stack| stack.order);
        Ok(stacks)
    }

    /// The stack of that slug.
    ///
    /// # Errors
    /// [`Error::UnknownStack`], which lists those that there are.
    pub fn find(slug: &str) -> Result<Self> {
        if templates::stack_slugs().any(|known| known == slug) {
            return Self::read(slug);
        }
        Err(Error::UnknownStack {
            given: slug.to_owned(),
            known: Self::all()?.into_iter().map(|stack| stack.slug).collect(),
        })
    }

    /// Names that a service of this stack cannot have.
    ///
    /// # Errors
    /// An embedded `reserved.toml` is broken: a defect of this build.
    pub fn reserved(&self) -> Result<Vec<Reserved>> {
        let own = format!("{}/reserved.toml", self.slug);
        let mut words = Vec::new();
        for path in ["common/reserved.toml", &own] {
            words.extend(templates::read_data::<ReservedFile>(path)?.reserved);
        }
        Ok(words)
    }

    fn read(slug: &str) -> Result<Self> {
        let mut stack: Self = templates::read_data(&format!("{slug}/stack.toml"))?;
        slug.clone_into(&mut stack.slug);
        Ok(stack)
    }
}
