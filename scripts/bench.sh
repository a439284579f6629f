#!/usr/bin/env bash
# What kobel costs beside Flink's own scripts, measured in turn in one run, as a table in Markdown.
#
#   scripts/bench.sh local [ROUNDS]     sessions on this machine, 3 rounds unless told
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ "${1:-}" = local ] && [ $# -le 2 ] || die "usage: scripts/bench.sh local [ROUNDS]"
need_tools

say "building kobel"
cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p kobel
kobel=${CARGO_TARGET_DIR:-$root/target}/release/kobel

say "Flink $flink_1 and its example jobs (kept in $cache)"
KOBEL_DATA_DIR=$cache/data KOBEL_CACHE_DIR=$cache/cache "$kobel" flink install "$flink_1" --source pypi
jar=$(example_jar "$examples_1")

exec python3 -B "$root/scripts/bench/local.py" --rounds "${2:-3}" --kobel "$kobel" \
    --flink "$cache/data/flink/$flink_1" --jar "$jar" --text "$root/README.md" --long-job "$root/tests/java/LongJob.java"
