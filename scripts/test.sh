#!/usr/bin/env bash
# Everything that must hold before a change lands: fetches what the tests need, by package name with the
# ordinary clients, then checks format, lints and licences, and runs all tests against real Flink.
#
#   scripts/test.sh             all of it
#   scripts/test.sh FILTER…     only the tests whose name contains a FILTER, no lints
#   scripts/test.sh --matrix    only this: a session starts, runs a job and stops on every supported Flink, and on
#                               YARN with every supported Hadoop
#   scripts/test.sh --soak [N]  only this: N jobs, 1000, one after the other through one session
#   scripts/test.sh --scale [N] only this: what N containers, 5000, cost a master, before a scripted YARN
#   scripts/test.sh --fuzz [M]  only this: parsers before damaged input for M minutes, 30, on one core
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

# fuzz MINUTES: the tests in every `fuzz.rs`, each time with other input. What fails is kept by proptest, beside
# the test, and tried first from then on.
fuzz() {
    local cases=2000 rounds=0 tests=0 home binary end
    home=$(mktemp -d)
    # Copies: a build meanwhile must not take them away.
    cargo test -p kobel-hadoop-rpc -p kobel-conf --lib --no-run 2>&1 | sed -n 's/.*(\(target.*\))$/\1/p' |
        while read -r binary; do cp "$binary" "$home"; done
    end=$((SECONDS + $1 * 60))
    while [ "$SECONDS" -lt "$end" ]; do
        for binary in "$home"/*; do
            PROPTEST_CASES=$cases TMPDIR=/dev/shm nice -n 19 "$binary" --test-threads 1 fuzz:: >"$home.log" 2>&1 ||
                { cat "$home.log" >&2; die "after $((tests * cases)) cases: $binary"; }
            tests=$((tests + $(grep -c '^test .* ok$' "$home.log")))
        done
        rounds=$((rounds + 1))
    done
    rm -rf "$home" "$home.log"
    say "$rounds rounds, $((tests * cases)) cases, no panic"
}

need_tools
# A test's host of its own.
need ip "apt-get install -y iproute2  (or: dnf install iproute)"
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

if [ "${1:-}" = --fuzz ]; then
    say "parsers before damaged input"
    fuzz "${2:-30}"
    exit
fi

if [ "${1:-}" = --scale ]; then
    say "one master and many containers"
    KOBEL_TEST_SCALE=${2:-5000} exec cargo test --release -p kobel-agent --lib -- --nocapture many_containers_are
fi

say "building"
case ${1:-} in
    --matrix | --soak) cargo build -p kobel --quiet ;;
    *) cargo build --workspace --all-targets --quiet ;;
esac
kobel=${CARGO_TARGET_DIR:-$root/target}/debug/kobel

install_flink() {
    KOBEL_DATA_DIR=$cache/data KOBEL_CACHE_DIR=$cache/cache "$kobel" flink install "$1" --source pypi
}

say "fetching Flink $flink_1 and $flink_2, their example jobs, and Hadoop $hadoop (kept in $cache)"
for version in "$flink_1" "$flink_2"; do
    install_flink "$version"
done
example_jar "$examples_1" >/dev/null
example_jar "$examples_2" >/dev/null
export KOBEL_TEST_FLINK=$cache/data/flink/$flink_1
export KOBEL_TEST_FLINK2=$cache/data/flink/$flink_2
export KOBEL_TEST_JARS=$cache/jars
KOBEL_TEST_HADOOP=$(hadoop_home "$hadoop")
export KOBEL_TEST_HADOOP

if [ "${1:-}" = --matrix ]; then
    say "fetching ${#matrix[@]} Flinks and ${#matrix_hadoop[@]} Hadoops (kept in $cache)"
    for version in "${matrix[@]}"; do
        install_flink "$version"
    done
    for version in "${matrix_hadoop[@]}"; do
        hadoop_home "$version" >/dev/null
    done
    say "the matrix"
    KOBEL_TEST_MATRIX=$cache/data/flink KOBEL_TEST_MATRIX_HADOOP=$cache/hadoop \
        exec cargo test -p kobel-tests --test matrix -- --nocapture --test-threads 1
fi

if [ "${1:-}" = --soak ]; then
    say "jobs one after the other"
    KOBEL_TEST_SOAK=${2:-1000} exec cargo test -p kobel-tests --test soak -- --nocapture
fi

if [ $# -eq 0 ]; then
    say "format and lints"
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --quiet -- -D warnings
    scripts/licences.sh
fi

say "tests"
cargo test --workspace --no-fail-fast -- --test-threads 2 "$@"

if [ $# -eq 0 ]; then
    say "the quickstart, twice"
    # No archive is trained here: nothing of a test may run on behind its back.
    KOBEL_START_CDS=off scripts/quickstart.sh
    KOBEL_START_CDS=off scripts/quickstart.sh
fi
