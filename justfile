# What `.ci/run` does, without installing anything.
ci: lint test faults contract

# Seconds, no network.
test:
    cargo test

lint:
    cargo fmt --check
    cargo clippy --all-targets --all-features -- -D warnings

# `apply` under kills, full disks and two at once.
faults:
    cargo test --features faults --test apply

# Renders services and tests the twelve factors on them, from outside; `tests/run` installs what it needs.
contract *filter:
    cargo test --features contract --test contract -- {{ filter }}

# Breaks the rendered service in many small ways: each has to be caught by the trial that is meant for it.
contract-faults *names:
    python3 tests/contract/faults.py {{ names }}

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

# `check` beside `rg` on a tree of 50,000 files.
bench-check:
    python3 benches/check.py

# Licences, sources and duplicates of the dependencies.
audit:
    cargo deny check bans licenses sources
