# What `.ci/run` does, without installing anything.
ci: lint test faults prove contract

# Seconds, no network.
test:
    cargo test

lint:
    cargo fmt --check
    cargo clippy --all-targets --all-features -- -D warnings

# `apply` under kills, full disks and two at once.
faults:
    cargo test --features faults --test apply

# Renders services, proves the twelve factors of them and tests the rest; `tests/run` installs what it needs.
contract *filter:
    cargo test --features contract --test contract -- {{ filter }}

# Breaks a small service in the ways that real ones are broken: each has to be caught, on its line and no other.
prove *filter:
    cargo test --features contract --test prove -- {{ filter }}

# Adds factors to services that others could have written, proves them before and after.
prove-add *filter:
    cargo test --features contract --test prove_add -- {{ filter }}

# Writes what templates and merges give now into snapshots/ and tests/merge/; read the diff before committing it.
bless:
    DOZEN_BLESS=1 cargo test --test snapshots
    DOZEN_BLESS=1 cargo test --lib merge

# Brings every template's dependencies and lock to the newest versions, and runs everything again.
refresh *stacks:
    python3 tests/refresh.py {{ stacks }}
    just bless
    tests/run

# dozen beside kickstart, cargo-generate, copier, cookiecutter and `cp -r`.
bench: bench-check
    python3 benches/compare.py

# The rendered services beside each other: startup, memory, requests a second; then their images.
bench-services:
    python3 benches/services.py
    python3 benches/images.py

# How far `check` agrees with repositories that a person has read; CHECKOUTS has them as owner__name.
check-truth checkouts *truth:
    cargo build
    python3 tests/check_truth.py {{ checkouts }} {{ truth }}

# What `add all` makes of copies of them: how many verdicts it turns to better ones; `--diffs FOLDER` keeps the patches.
add-truth checkouts *rest:
    cargo build
    python3 tests/add_truth.py {{ checkouts }} {{ rest }}

# `check` beside `rg` on a tree of 50,000 files.
bench-check:
    python3 benches/check.py

# Licences, sources and duplicates of the dependencies.
audit:
    cargo deny check bans licenses sources
