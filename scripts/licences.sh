#!/usr/bin/env bash
# Licences, sources and advisories of everything that is linked in (deny.toml).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

say "licences and advisories"
if ! command -v cargo-deny >/dev/null 2>&1; then
    # Built without optimisation: it runs for a second, and its release build takes minutes.
    cargo install --locked --quiet --debug cargo-deny
fi
cargo deny --log-level error check licenses bans sources
# The advisory database is a git repository of its own, not a package: where it cannot be reached, say so.
if timeout 60 cargo deny --log-level error fetch db >/dev/null 2>&1; then
    cargo deny --log-level error --offline check advisories
else
    say "advisories NOT checked: the RustSec database cannot be reached from this machine"
fi
