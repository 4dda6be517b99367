"""Fetch published bytecode and sources for the tests: the files `published.json` names, nothing else.

Some of these packages bring hundreds of others with them, and of most only a few files are wanted; so they
are packed, checked against the recorded integrity and unpacked in part, to
`.build/published/<package>@<version>/`. No script of theirs runs. Standard library only.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIST = os.path.join(ROOT, "tools", "published.json")
TARGET = os.path.join(ROOT, ".build", "published")


def integrity(path):
    """npm's subresource integrity of a tarball."""
    with open(path, "rb") as file:
        return "sha512-" + base64.b64encode(hashlib.sha512(file.read()).digest()).decode()


def unpack(tarball, target, wanted):
    """The members under `wanted` prefixes; every prefix must be there."""
    found = set()
    with tarfile.open(tarball) as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            parts = name.split("/")
            prefixes = [prefix for prefix in wanted if name.startswith(prefix)]
            if not member.isfile() or not prefixes or ".." in parts:
                continue
            found.update(prefixes)
            path = os.path.join(target, *parts)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.extractfile(member) as source, open(path, "wb") as copy:
                shutil.copyfileobj(source, copy)
    missing = sorted(set(wanted) - found)
    if missing:
        raise SystemExit(f"{os.path.basename(target)} has no {', '.join(missing)}")


def main():
    with open(LIST) as file:
        packages = json.load(file)["packages"]
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--ignore-scripts", "--silent", *(entry["package"] for entry in packages)]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        tarballs = {}
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            tarballs[integrity(path)] = path
        shutil.rmtree(TARGET, ignore_errors=True)
        for entry in packages:
            if entry["integrity"] not in tarballs:
                raise SystemExit(f"{entry['package']} does not have the integrity that {LIST} records")
            unpack(tarballs[entry["integrity"]], os.path.join(TARGET, entry["package"]), entry["files"])


if __name__ == "__main__":
    sys.exit(main())
