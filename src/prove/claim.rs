//! A sentence of the contract, what it needs, and how to see that it holds.

use anyhow::Result;

use super::case::Case;
use super::subject::Kind;
use crate::factor::Factor;

#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// What is expected, as a reader of the report sees it.
    pub sentence: &'static str,
    pub check: fn(&Case) -> Result<()>,
    pub order: Order,
    /// Without any of these it cannot be tested.
    pub needs: &'static [Need],
    /// Whether another claim of its factor covers the same in a simpler way, so that it need not be tested.
    pub deepens: bool,
    /// What usually mends it.
    pub hint: &'static str,
}

/// When a claim is begun, among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// It mostly waits, for long: the others fill the time.
    First,
    Any,
    /// It judges what the others left.
    Last,
}

/// What a service, or its owner's word about it, must have for a claim to make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Commands that install and build it.
    Build,
    /// What is proven is built by those commands, and is not an image.
    NativeBuild,
    /// A lock file.
    Lock,
    /// A variable that has no default.
    Required,
    /// A database or a Redis that dozen starts.
    Backing,
    /// A `worker` process.
    Worker,
    /// A `release` process.
    Release,
    /// At least one task.
    Task,
    /// A database whose server dozen starts.
    Database,
    /// A Redis that dozen starts.
    Redis,
    /// Code that runs on either engine.
    BothEngines,
    /// Requests that begin, read and end a session.
    Session,
    /// Requests that create and read something that lasts.
    Item,
    /// A member of the item that shows its job as done.
    Job,
    /// A request for many items.
    List,
    /// A path that tells whether the service is ready.
    Readiness,
    /// A declared variable of that kind.
    Variable(Kind),
    /// A script that adds a migration which fails.
    FailingMigration,
    /// The variables of the contract and no others: a service that dozen made.
    Contract,
}

impl Claim {
    pub const fn new(sentence: &'static str, check: fn(&Case) -> Result<()>) -> Self {
        Self { sentence, check, order: Order::Any, needs: &[], deepens: false, hint: "" }
    }

    #[must_use]
    pub const fn begins(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    #[must_use]
    pub const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    /// A claim that looks closer at what another one of its factor sees too.
    #[must_use]
    pub const fn deepens(mut self) -> Self {
        self.deepens = true;
        self
    }

    #[must_use]
    pub const fn hint(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }
}

/// The claims of each factor, in the order of the methodology.
pub const CLAIMS: [(Factor, &[Claim]); 12] = [
    (Factor::Codebase, super::codebase::CLAIMS),
    (Factor::Dependencies, super::dependencies::CLAIMS),
    (Factor::Config, super::config::CLAIMS),
    (Factor::BackingServices, super::backing_services::CLAIMS),
    (Factor::BuildReleaseRun, super::build_release_run::CLAIMS),
    (Factor::Processes, super::processes::CLAIMS),
    (Factor::PortBinding, super::port_binding::CLAIMS),
    (Factor::Concurrency, super::concurrency::CLAIMS),
    (Factor::Disposability, super::disposability::CLAIMS),
    (Factor::DevProdParity, super::dev_prod_parity::CLAIMS),
    (Factor::Logs, super::logs::CLAIMS),
    (Factor::AdminProcesses, super::admin_processes::CLAIMS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_fails_is_told_what_mends_it() {
        for (factor, claims) in CLAIMS {
            for claim in claims.iter().filter(|claim| !claim.needs.contains(&Need::Contract)) {
                assert!(!claim.hint.is_empty(), "{factor}: {}", claim.sentence);
            }
        }
    }
}
