"""Runs the scripts one after another in one process, which spares Ape's start each time.

Reads a JSON list of words (script, then its arguments) per line on stdin, answers a JSON object
{"code", "out", "err"} per line on stdout. Started by the fixture `ape_commands`.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    from click.testing import CliRunner

    answers = sys.stdout
    # Whatever a script prints past the runner must not look like an answer.
    sys.stdout = sys.stderr
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        script, *words = json.loads(line)
        command = importlib.import_module(f"scripts.{script}").cli
        result = CliRunner(mix_stderr=False).invoke(command, words, prog_name=script)
        err = result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            err += "".join(traceback.format_exception(result.exception))
        answer = {"code": result.exit_code, "out": result.stdout, "err": err}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
