#!/usr/bin/env bash
# A real HDFS and YARN to try things on: NameNode, DataNode, ResourceManager, two NodeManagers and ZooKeeper on
# loopback addresses of their own, the cluster that the tests use. Nothing is left after `down`.
#
#   scripts/yarn-lab.sh up        starts it, and prints what to export
#   scripts/yarn-lab.sh status    says whether it runs, and prints the same
#   scripts/yarn-lab.sh down      ends it, with every container
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

lab=$cache/yarn-lab
log=$cache/yarn-lab.log

up() {
    [ ! -e "$lab" ] || die "it is up already, or was never ended
  hint: scripts/yarn-lab.sh status"
    need_tools
    say "building, and fetching Hadoop $hadoop (kept in $cache)"
    cargo build --quiet --manifest-path "$root/Cargo.toml" -p kobel-kit --example yarn_lab
    KOBEL_TEST_HADOOP=$(hadoop_home "$hadoop")
    export KOBEL_TEST_HADOOP
    say "starting"
    setsid "${CARGO_TARGET_DIR:-$root/target}/debug/examples/yarn_lab" "$lab" </dev/null >"$log" 2>&1 &
    local holder=$!
    until [ -s "$lab/env" ]; do
        kill -0 "$holder" 2>/dev/null || { cat "$log" >&2; rm -rf "$lab"; die "it did not start"; }
        sleep 0.1
    done
    cat "$log" >&2
    cat "$lab/env"
}

status() {
    [ -s "$lab/env" ] || { echo "it is down" >&2; exit 3; }
    cat "$lab/env"
    . "$lab/env"
    need curl "apt-get install -y curl  (or: dnf install curl)"
    curl -sS -m 10 "$YARN_WEB/ws/v1/cluster/metrics" | tr ',' '\n' |
        grep -E '"(activeNodes|appsRunning|availableMB|containersAllocated)"' | tr -d '"{}' >&2
}

down() {
    [ -p "$lab/down" ] || die "it is not up"
    # Whoever holds the cluster reads here, ends it, and removes the directory. Nobody reads after the machine
    # itself went down.
    timeout 10 sh -c 'echo >"$1"' sh "$lab/down" || rm -rf "$lab"
    until [ ! -e "$lab" ]; do
        sleep 0.1
    done
    rm -f "$log"
    say "it is down, and nothing of it is left"
}

case "${1:-}" in
up | status | down) "$1" ;;
*) die "usage: scripts/yarn-lab.sh up|status|down" ;;
esac
