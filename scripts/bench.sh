#!/usr/bin/env bash
# What kobel costs beside Flink's own scripts, measured in turn in one run, as a table in Markdown.
#
#   scripts/bench.sh local [ROUNDS]     sessions on this machine, 3 rounds unless told
#   scripts/bench.sh ha [ROUNDS]        faults with high availability on this machine, 2 rounds unless told, of 5 each
#   scripts/bench.sh yarn [ROUNDS]      sessions on a real YARN with a real HDFS, a cluster of its own
#   scripts/bench.sh jobs [ROUNDS]      jobs with clusters of their own there, and KOBEL_BENCH_AT_ONCE (20) of them at once
#   scripts/bench.sh ha-yarn [ROUNDS]   dead masters with high availability there, 1 round unless told, which has each
#                                       fault 3 times, or KOBEL_BENCH_REPEAT
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ ${1:-} =~ ^(local|ha|yarn|jobs|ha-yarn)$ && $# -le 2 ]] ||
    die "usage: scripts/bench.sh local|ha|yarn|jobs|ha-yarn [ROUNDS]"
need_tools

say "building kobel"
cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p kobel
built=${CARGO_TARGET_DIR:-$root/target}
kobel=$built/release/kobel

if [ "$1" = ha ]; then
    say "Flink $flink_1 (kept in $cache)"
    KOBEL_DATA_DIR=$cache/data KOBEL_CACHE_DIR=$cache/cache "$kobel" flink install "$flink_1" --source pypi
    exec python3 -B "$root/scripts/bench/ha.py" --rounds "${2:-2}" \
        --kobel "$kobel" --flink "$cache/data/flink/$flink_1" --job "$root/tests/java/SleepingJob.java"
fi

if [ "$1" = ha-yarn ]; then
    say "Flink $flink_1 and Hadoop $hadoop (kept in $cache)"
    KOBEL_DATA_DIR=$cache/data KOBEL_CACHE_DIR=$cache/cache "$kobel" flink install "$flink_1" --source pypi
    cargo build --quiet --manifest-path "$root/Cargo.toml" -p kobel-kit --example yarn_lab
    home=$(hadoop_home "$hadoop")
    exec python3 -B "$root/scripts/bench/ha_yarn.py" --rounds "${2:-1}" --repeat "${KOBEL_BENCH_REPEAT:-3}" \
        --kobel "$kobel" --flink "$cache/data/flink/$flink_1" --job "$root/tests/java/SleepingJob.java" \
        --hadoop "$home" --yarn-lab "$built/debug/examples/yarn_lab"
fi

say "Flink $flink_1 and its example jobs (kept in $cache)"
KOBEL_DATA_DIR=$cache/data KOBEL_CACHE_DIR=$cache/cache "$kobel" flink install "$flink_1" --source pypi
jar=$(example_jar "$examples_1")
what=(--rounds "${2:-3}" --kobel "$kobel" --flink "$cache/data/flink/$flink_1" --jar "$jar" --text "$root/README.md")

if [ "$1" = local ]; then
    exec python3 -B "$root/scripts/bench/local.py" "${what[@]}" --long-job "$root/tests/java/LongJob.java"
fi

say "Hadoop $hadoop (kept in $cache)"
cargo build --quiet --manifest-path "$root/Cargo.toml" -p kobel-kit --example yarn_lab
home=$(hadoop_home "$hadoop")
if [ "$1" = jobs ]; then
    what+=(--at-once "${KOBEL_BENCH_AT_ONCE:-20}")
fi
exec python3 -B "$root/scripts/bench/$1.py" "${what[@]}" --hadoop "$home" --yarn-lab "$built/debug/examples/yarn_lab"
