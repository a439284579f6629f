#!/usr/bin/env bash
# From nothing to a real Flink job in one command: builds kobel, installs a Flink, starts a local session
# with 2 TaskManagers of 2 slots, runs Flink's own streaming WordCount over a text file, shows the counts,
# and stops the session. Run it again and only the session is new.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_tools
name=quickstart
work=$(mktemp -d)

say "building kobel"
cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p kobel
kobel=${CARGO_TARGET_DIR:-$root/target}/release/kobel

stop() {
    "$kobel" stop "$name" --quiet 2>/dev/null || true
    "$kobel" rm "$name" --quiet 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT

say "Flink $flink_1"
unset FLINK_HOME
"$kobel" flink install "$flink_1"
jar=$(example_jar "$examples_1")

say "a session of 2 TaskManagers with 2 slots each"
"$kobel" start "$name" --flink "$flink_1" --tm 2 --slots 2

say "WordCount over README.md"
"$kobel" run --cluster "$name" -c org.apache.flink.streaming.examples.wordcount.WordCount \
    "$jar" --input "$root/README.md" --output "$work/counts"

say "the ten most frequent words"
# WordCount writes a running count per word, "(word,n)": the last one of a word is its total.
find "$work/counts" -type f -exec cat {} + |
    tr -d '()' | awk -F, '$2 > n[$1] { n[$1] = $2 } END { for (w in n) print n[w], w }' |
    sort -k1,1nr -k2 | sed -n 1,10p

"$kobel" status "$name"
say "stopping the session; 'kobel start' gives one that stays"
