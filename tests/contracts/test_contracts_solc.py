"""tools/solc: the compiler's command line as forge and py-solc-x use it."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import solcx

from engine.app.toolchain import forge_artifact, project_root

SOLC = project_root() / "tools" / "solc"
SOURCE = "pragma solidity ^0.8.0; contract C { function f() external pure returns (uint256) { return 42; } }"


def run(*words: str, given: str = "", cache: Path | None = None) -> subprocess.CompletedProcess:
    environment = {**os.environ, "SOLC_CACHE_DIR": str(cache) if cache else ""}
    return subprocess.run(
        [str(SOLC), *words], input=given, capture_output=True, text=True, env=environment, timeout=120
    )


def request(sources: dict, select: str = "evm.deployedBytecode.object", **settings) -> str:
    settings["outputSelection"] = {"*": {"*": [select]}}
    return json.dumps({"language": "Solidity", "sources": sources, "settings": settings})


def code(done: subprocess.CompletedProcess, unit: str = "C.sol", name: str = "C") -> str:
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
    assert not output.get("errors"), output["errors"]
    return output["contracts"][unit][name]["evm"]["deployedBytecode"]["object"]


def test_version_is_the_one_asked_for():
    done = run("--version")
    assert done.returncode == 0
    assert "Version: 0.8.37+commit." in done.stdout
    assert (project_root() / "tools" / "solcx" / "solc-v0.8.37").resolve() == SOLC


def test_input_from_stdin_and_from_a_file(tmp_path: Path):
    given = request({"C.sol": {"content": "// SPDX-License-Identifier: MIT\n" + SOURCE}})
    file = tmp_path / "input.json"
    file.write_text(given)
    assert code(run("--standard-json", given=given)) == code(run("--standard-json", str(file)))


def test_imports_are_found_under_base_and_include_paths(tmp_path: Path):
    (tmp_path / "base").mkdir()
    (tmp_path / "more" / "lib").mkdir(parents=True)
    head = "// SPDX-License-Identifier: MIT\npragma solidity ^0.8.0;\n"
    (tmp_path / "base" / "A.sol").write_text(head + "contract A {}")
    (tmp_path / "more" / "lib" / "B.sol").write_text(head + "contract B {}")
    main = head + 'import "./A.sol"; import "lib/B.sol"; contract C is A, B {}'
    words = ["--base-path", str(tmp_path / "base"), f"--include-path={tmp_path / 'more'}", "--standard-json"]
    assert code(run(*words, given=request({"C.sol": {"content": main}})))


def test_missing_import_is_the_compilers_error():
    main = '// SPDX-License-Identifier: MIT\npragma solidity ^0.8.0; import "./Nowhere.sol"; contract C {}'
    done = run("--standard-json", given=request({"C.sol": {"content": main}}))
    assert done.returncode == 0
    assert any("Nowhere.sol" in error["formattedMessage"] for error in json.loads(done.stdout)["errors"])


def test_output_cache_answers_only_for_the_same_input(tmp_path: Path):
    first = request({"C.sol": {"content": "// SPDX-License-Identifier: MIT\n" + SOURCE}})
    second = first.replace("return 42", "return 43")
    cache = tmp_path / "cache"
    fresh = [code(run("--standard-json", given=one)) for one in (first, second)]
    assert fresh[0] != fresh[1]
    for _ in range(2):
        assert [code(run("--standard-json", given=one, cache=cache)) for one in (first, second)] == fresh
    assert len(list(cache.glob("output-*"))) == 2
    # It is the stored output that is used: a marked one comes back marked.
    for entry in cache.glob("output-*"):
        entry.write_text('{"marked": true}')
    assert json.loads(run("--standard-json", given=first, cache=cache).stdout) == {"marked": True}


def test_unwritable_cache_is_done_without(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    given = request({"C.sol": {"content": "// SPDX-License-Identifier: MIT\n" + SOURCE}})
    assert code(run("--standard-json", given=given, cache=blocked / "cache"))


def test_unknown_option_is_refused_in_one_line():
    done = run("--gas")
    assert done.returncode == 1
    assert done.stderr == "solc: option --gas is not supported: use --standard-json\n"


@pytest.mark.parametrize("name", ["ArbitrageRouter", "WorldToken"])
def test_py_solc_x_compiles_what_forge_compiled(name: str):
    root = project_root()
    raw = json.loads((root / "out" / f"{name}.sol" / f"{name}.json").read_text())
    settings = dict(raw["metadata"]["settings"])
    ((unit, _),) = settings.pop("compilationTarget").items()
    settings.pop("libraries", None)
    settings["outputSelection"] = {unit: {name: ["evm.bytecode.object"]}}
    sources = {one: {"content": (root / one).read_text()} for one in raw["metadata"]["sources"]}
    given = {"language": "Solidity", "sources": sources, "settings": settings}
    output = solcx.compile_standard(given, solc_binary=root / "tools" / "solcx" / "solc-v0.8.37")
    creation = output["contracts"][unit][name]["evm"]["bytecode"]["object"]
    assert bytes.fromhex(creation) == forge_artifact(name).bytecode
