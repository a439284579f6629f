"""The licences of all that is linked into kobel for a target, each text once, as its authors ask of who passes it on."""

import json
import re
import subprocess
import sys
from pathlib import Path

TEXTS = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|COPYRIGHT|UNLICENSE)([-._].*)?", re.IGNORECASE)


def cargo(*words):
    """What cargo prints."""
    return subprocess.run(["cargo", *words], check=True, capture_output=True, text=True).stdout


def linked(target):
    """Names with versions of all that is linked in, our own crates left out."""
    tree = cargo("tree", "-p", "kobel", "-e", "normal", "--target", target, "--prefix", "none", "--format", "{p}")
    # A crate of this workspace has its path behind it.
    return {tuple(line.split()[:2]) for line in tree.splitlines() if line and "(/" not in line}


def main():
    """Prints the packages with their licences, then the texts with who they are of."""
    (target,) = sys.argv[1:]
    wanted = linked(target)
    packages = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))["packages"]
    texts, lines = {}, []
    for package in packages:
        name, version = package["name"], package["version"]
        if (name, f"v{version}") not in wanted:
            continue
        lines.append(f"{name} {version}: {package['license'] or 'see its file'}")
        for file in sorted(Path(package["manifest_path"]).parent.iterdir()):
            if file.is_file() and TEXTS.fullmatch(file.name):
                text = file.read_text(errors="replace").strip()
                texts.setdefault(text, []).append(f"{name} {version}")
    if len(lines) != len(wanted):
        sys.exit(f"error: {len(wanted)} packages are linked in, and {len(lines)} of them are known")
    print("kobel contains these packages:\n\n" + "\n".join(lines))
    for text, owners in texts.items():
        print(f"\n{'=' * 100}\n{', '.join(owners)}\n{'-' * 100}\n{text}")


if __name__ == "__main__":
    main()
