"""Set up a checkout: Python environment, node-side tools, compiled contracts. Standard library only.

Idempotent: each part leaves a stamp of what it was made from and is skipped while that is unchanged.
Written to run on old interpreters too, so that it can say in one sentence what is missing.
"""

import functools
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STAMPS = os.path.join(ROOT, ".build", "stamps")
MINIMUM_NODE = 20


class Missing(Exception):
    """Something the machine lacks; the message is the one sentence the person sees."""


def interpreter():
    """Path of a CPython 3.11 or 3.12."""
    names = [os.environ.get("PYTHON", ""), sys.executable, "python3.12", "python3.11", "python3"]
    seen = []
    for name in names:
        path = shutil.which(name) if name else None
        if not path:
            continue
        probe = subprocess.run(
            [
                path,
                "-c",
                "import sys, venv, ensurepip; print(sys.version_info[0] * 100 + sys.version_info[1])",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if probe.returncode == 0:
            version = int(probe.stdout)
            if version in (311, 312):
                return path
            seen.append("%d.%d" % divmod(version, 100))
        elif b"ensurepip" in probe.stderr or b"venv" in probe.stderr:
            seen.append("one without the venv module")
    found = ", ".join(sorted(set(seen))) or "none"
    raise Missing(
        "Python 3.11 or 3.12 with its venv module is needed and was not found (found: %s): "
        "install one, or name it with make setup PYTHON=/path/to/python3.12" % found
    )


def check_node():
    """Node and npm, new enough."""
    node = shutil.which("node")
    if not node or not shutil.which("npm"):
        raise Missing("Node.js %d or newer with npm is needed and was not found: install it" % MINIMUM_NODE)
    version = subprocess.run([node, "--version"], stdout=subprocess.PIPE).stdout.decode().strip()
    try:
        major = int(version.lstrip("v").split(".")[0])
    except ValueError:
        major = 0
    if major < MINIMUM_NODE:
        raise Missing(
            "Node.js %d or newer is needed and %s is %s: upgrade it" % (MINIMUM_NODE, node, version)
        )


def check_writable():
    """The checkout can be written to."""
    probe = os.path.join(ROOT, ".build")
    try:
        os.makedirs(STAMPS, exist_ok=True)
        with open(os.path.join(probe, ".writable"), "w") as file:
            file.write("ok")
    except OSError as error:
        raise Missing("%s cannot be written to (%s): check its owner and free space" % (ROOT, error.strerror))


def digest(*names):
    """Hash of files, and of everything under folders, by name and content."""
    sha = hashlib.sha256()
    for name in names:
        path = os.path.join(ROOT, name)
        files = [path]
        if os.path.isdir(path):
            files = sorted(
                os.path.join(folder, file)
                for folder, _, inside in os.walk(path)
                for file in inside
                if ".cache" not in folder
            )
        for file in files:
            sha.update(os.path.relpath(file, ROOT).encode())
            with open(file, "rb") as content:
                sha.update(content.read())
    return sha.hexdigest()


def run(title, number, total, command):
    """Run a command with its output kept for the case that it fails, and a moving line meanwhile."""
    label = "[%d/%d] %s" % (number, total, title)
    log = os.path.join(ROOT, ".build", "setup.log")
    started = time.time()
    done = threading.Event()

    def spin():
        for mark in itertools.cycle("|/-\\"):
            if done.wait(0.2):
                return
            sys.stderr.write("\r%s %s %ds " % (label, mark, time.time() - started))
            sys.stderr.flush()

    interactive = sys.stderr.isatty()
    if interactive:
        threading.Thread(target=spin, daemon=True).start()
    else:
        sys.stderr.write(label + " ...\n")
        sys.stderr.flush()
    with open(log, "wb") as output:
        status = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ).returncode
    done.set()
    if status:
        with open(log, "rb") as output:
            tail = output.read()[-3000:].decode(errors="replace")
        sys.stderr.write("\n" + tail + "\n")
        raise Missing("%s failed with exit code %d: see the lines above" % (title, status))
    sys.stderr.write("%s%s done in %.0fs\n" % ("\r" if interactive else "", label, time.time() - started))


def stamped(name, key, made, action):
    """Run `action` unless the stamp says that `made` was made from `key`."""
    path = os.path.join(STAMPS, name)
    if os.path.exists(os.path.join(ROOT, made)):
        try:
            with open(path) as stamp:
                if stamp.read() == key:
                    return
        except OSError:
            pass
    action()
    with open(path, "w") as stamp:
        stamp.write(key)


def python_environment(python, number, total):
    """`.venv/` with the locked packages and this project, editable."""
    venv_python = os.path.join(".venv", "bin", "python")

    def install():
        shutil.rmtree(os.path.join(ROOT, ".venv"), ignore_errors=True)
        run("Python environment", number, total, [python, "-m", "venv", ".venv"])
        pip = [venv_python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run("Package installer", number, total, [*pip, "--require-hashes", "-r", "tools/uv.lock"])
        uv = [os.path.join(".venv", "bin", "uv"), "pip", "install", "--python", venv_python]
        run("Python packages", number, total, [*uv, "--require-hashes", "-r", "requirements.lock"])
        run("Roundtrip itself", number, total, [*uv, "--no-deps", "--editable", "."])

    with open(os.path.join(ROOT, "pyproject.toml")) as file:
        project = file.read().split("[tool.")[0]
    key = hashlib.sha256((project + digest("requirements.lock", "tools/uv.lock")).encode()).hexdigest()
    stamped("python", key, os.path.join(".venv", "bin", "roundtrip"), install)


def node_tools(number, total):
    """`node_modules/`: anvil, forge, cast, the Solidity compiler, libraries, published bytecode."""
    # `npm ci` refuses the lock where the registry lacks a binary of another platform.
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
    key = digest("package.json", "package-lock.json")
    stamped("node", key, "node_modules", lambda: run("Node-side tools", number, total, command))


def published(number, total):
    """`.build/published/`: bytecode and sources that the tests compare with and nothing else needs."""
    key = digest("tools/published.json", "tools/published.py")
    command = [os.path.join(".venv", "bin", "python"), os.path.join("tools", "published.py")]
    fetch = functools.partial(run, "Published contracts", number, total, command)
    stamped("published", key, os.path.join(".build", "published"), fetch)


def contracts(number, total):
    """`out/`: the compiled contracts."""
    locate = "from engine.app.toolchain import foundry_tool; print(foundry_tool('forge'))"
    venv_python = os.path.join(ROOT, ".venv", "bin", "python")
    forge = subprocess.run([venv_python, "-c", locate], cwd=ROOT, stdout=subprocess.PIPE)
    if forge.returncode:
        raise Missing("forge was not installed by npm for this platform: see package.json for what it needs")
    # The tests take three times as long to compile, and only `make test` needs them.
    build = [forge.stdout.decode().strip(), "build", "--skip", "test"]
    key = digest("contracts/src", "contracts/world", "foundry.toml", "package-lock.json")
    stamped("contracts", key, "out", lambda: run("Contracts", number, total, build))


def main():
    try:
        check_writable()
        python = interpreter()
        check_node()
        python_environment(python, 1, 4)
        node_tools(2, 4)
        published(3, 4)
        contracts(4, 4)
    except Missing as missing:
        sys.stderr.write("setup: %s\n" % missing)
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nsetup: interrupted; run it again to go on\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
