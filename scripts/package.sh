#!/usr/bin/env bash
# kobel as it is given away, in target/package: one binary for every Linux with glibc 2.17 or later, YARN's nodes
# too, with its licences, completions, manual pages and the commands that keep Flink's names, as a tar.gz.
#
#   scripts/package.sh               builds, checks and packs
#   scripts/package.sh --check FILE  only this: fails if a binary needs a later glibc, and says for what
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

glibc=2.17
# Zig's C compiler knows the symbols of every glibc. Both come from the Python package index.
zig=(ziglang==0.17.1 cargo-zigbuild==0.24.0)

# check FILE: no symbol of a glibc after $glibc, and no library that such a node may not have.
check() {
    need readelf "apt-get install -y binutils  (or: dnf install binutils)"
    local needed newest libraries
    needed=$(readelf --version-info --wide "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV) || die "$1 is no binary for glibc"
    newest=$(tail -n 1 <<<"$needed")
    [ "$(printf '%s\n' "GLIBC_$glibc" "$newest" | sort -V | tail -n 1)" = "GLIBC_$glibc" ] ||
        die "$1 needs $newest, and nodes may have $glibc
  hint: scripts/package.sh builds one that does not"
    libraries=$(readelf --dynamic --wide "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    if grep -Evx '(lib(c|m|dl|rt|pthread|gcc_s)\.so\.[0-9]+|ld-linux.*)' <<<"$libraries" >&2; then
        die "$1 needs these libraries, which are not everywhere"
    fi
    say "$1 needs nothing later than $newest"
}

if [ "${1:-}" = --check ] && [ $# -eq 2 ]; then
    check "$2"
    exit
fi
[ $# -eq 0 ] || die "usage: scripts/package.sh [--check FILE]"
need cargo "curl --proto '=https' -sSf https://sh.rustup.rs | sh"
need python3 "apt-get install -y python3 python3-pip  (or: dnf install python3 python3-pip)"

tools=$cache/zig/$(printf '%s_' "${zig[@]}")
if [ ! -d "$tools" ]; then
    say "fetching ${zig[*]} (kept in $cache)"
    rm -rf "$tools.part"
    python3 -m pip install --quiet --target "$tools.part" "${zig[@]}" >&2
    mv "$tools.part" "$tools"
fi

arch=$(uname -m)
target=$arch-unknown-linux-gnu
built=${CARGO_TARGET_DIR:-$root/target}
say "building kobel for $arch with glibc $glibc"
# The paths of this machine are nobody's business.
RUSTFLAGS="--remap-path-prefix=$root=kobel --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" \
    CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_ZIGBUILD_ZIG_PATH=$tools/ziglang/zig PATH=$tools/bin:$PATH \
    cargo zigbuild --release --quiet -p kobel --target "$target.$glibc"
kobel=$built/$target/release/kobel
check "$kobel"

name=kobel-$("$kobel" --version | cut -d ' ' -f 2)-linux-$arch
say "packing $name.tar.gz"
out=$built/package
rm -rf "$out"
mkdir -p "$out/$name"/{bin,man/man1,completions}
install -m 755 "$kobel" scripts/{flink,yarn-session.sh,{start,stop}-cluster.sh,{job,task}manager.sh} "$out/$name/bin"
install -m 644 LICENSE README.md CHANGELOG.md "$out/$name"
python3 -B scripts/package/notices.py "$target" >"$out/$name/NOTICES"
"$kobel" man "$out/$name/man/man1"
for shell in bash zsh fish; do
    "$kobel" completions "$shell" >"$out/$name/completions/kobel.$shell"
done
tar -C "$out" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -czf "$out/$name.tar.gz" "$name"

# What was packed is what runs.
rm -r "${out:?}/$name"
tar -C "$out" -xzf "$out/$name.tar.gz"
"$out/$name/bin/flink" --version >/dev/null
[ "$("$out/$name/bin/kobel" --version)" = "$("$kobel" --version)" ] || die "the packed kobel does not run"
rm -r "${out:?}/$name"
(cd "$out" && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
