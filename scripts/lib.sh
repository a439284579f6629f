# Shared by the scripts: where things are, and what a machine must have. Sourced, never run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${KOBEL_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kobel-dev}

# Flink's versions that the tests run against, and the example jobs that fit them.
flink_1=1.20.5
flink_2=2.3.0
examples_1=1.20.0
examples_2=2.3.0
# Hadoop for HDFS and YARN, with the ZooKeeper that comes with it.
# shellcheck disable=SC2034
hadoop=3.4.1
# One of each supported minor version.
# shellcheck disable=SC2034
matrix=(1.17.2 1.18.1 1.19.3 "$flink_1" 2.0.2 2.1.3 2.2.1 "$flink_2")
# shellcheck disable=SC2034
matrix_hadoop=(2.10.2 3.3.6 "$hadoop")

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# need COMMAND HOW-TO-INSTALL: names what is missing, with the line that installs it.
need() {
    command -v "$1" >/dev/null 2>&1 || die "$1 is missing
  hint: $2"
}

need_tools() {
    need cargo "curl --proto '=https' -sSf https://sh.rustup.rs | sh"
    need cc "apt-get install -y gcc  (or: dnf install gcc)"
    need java "apt-get install -y openjdk-17-jdk-headless  (or: dnf install java-17-openjdk-devel)"
    need javac "apt-get install -y openjdk-17-jdk-headless  (or: dnf install java-17-openjdk-devel)"
    need mvn "apt-get install -y maven  (or: dnf install maven)"
    need python3 "apt-get install -y python3 python3-pip  (or: dnf install python3 python3-pip)"
    python3 -m pip --version >/dev/null 2>&1 || die "pip is missing
  hint: apt-get install -y python3-pip  (or: dnf install python3-pip)"
}

# example_jar VERSION: fetches Flink's streaming examples once and prints the jar's path. The plugin's `get` of
# 2.10 takes the jar alone; later ones, and `copy`, insist on the parent's descriptor, which 2.3.0 has none of.
example_jar() {
    local name=flink-examples-streaming repository=$cache/m2 jar=$cache/jars/flink-examples-streaming-$1.jar
    if [ ! -s "$jar" ]; then
        mkdir -p "$cache/jars"
        mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:2.10:get -Dtransitive=false \
            -Dmaven.repo.local="$repository" -Dartifact="org.apache.flink:$name:$1" >&2 ||
            die "could not fetch $name $1 with Maven"
        cp "$repository/org/apache/flink/$name/$1/$name-$1.jar" "$jar"
    fi
    printf '%s\n' "$jar"
}

# hadoop_home VERSION: fetches Hadoop's jars once, ZooKeeper's among them, and prints the directory with its `lib`.
hadoop_home() {
    local home=$cache/hadoop/$1 without=
    # Hadoop 2's web servers need the older ASM of two that Maven brings, which have the same classes.
    [[ $1 != 2.* ]] || without=org.ow2.asm
    if [ ! -d "$home/lib" ]; then
        rm -rf "$home/lib.part"
        mvn -q -B -f "$root/tests/kit/hadoop.pom.xml" -Dhadoop.version="$1" -Dmaven.repo.local="$cache/m2" \
            org.apache.maven.plugins:maven-dependency-plugin:2.10:copy-dependencies \
            -DexcludeGroupIds="$without" -DoutputDirectory="$home/lib.part" >&2 || die "could not fetch Hadoop $1 with Maven"
        mv "$home/lib.part" "$home/lib"
    fi
    printf '%s\n' "$home"
}
