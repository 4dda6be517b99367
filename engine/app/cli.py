"""The `roundtrip` command: its sub-commands, and how failures end.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import stamina
import stamina.instrumentation
import typer
from typer.exceptions import TyperException

from engine import __version__
from engine.domain.errors import NodeUnreachable, RoundtripError, UsageError

_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives. `kernels` marks those that need the compiled kernels' cache set up first."""

    summary: str
    attribute: str = "app"
    kernels: bool = False


COMMANDS = {
    "demo": Entry("The whole job on an embedded world of real DEX bytecode.", "demo", kernels=True),
    "run": Entry("The bot against any node: paper, fork or live.", "run", kernels=True),
    "record": Entry("A paper run whose inputs are written down.", "record", kernels=True),
    "replay": Entry("The decisions of a recording, again.", "replay", kernels=True),
    "scan": Entry("One full search over a snapshot or a node's pools.", "scan", kernels=True),
    "quote": Entry("One exact quote.", "quote", kernels=True),
    "simulate": Entry(
        "Land our own arbitrage beside the searchers' in real blocks.", "simulate", kernels=True
    ),
    "doctor": Entry("Is this machine, node, key and configuration fit to run?", "doctor", kernels=True),
    "health": Entry("How a running engine is, and how fresh what it knows.", "health"),
    "halt": Entry("Stop sending from the next block on.", "halt"),
    "resume": Entry("Take halt back.", "resume"),
    "tokens": Entry("What was found out about each token.", "tokens"),
    "explain": Entry("Why an opportunity was executed or refused, with every number.", "explain"),
    "ledger": Entry("What was done, earned and paid."),
    "config": Entry("Check or show a configuration."),
    "deployments": Entry("Compare deployed contracts with their sources."),
    "keys": Entry("Make or import an encrypted operator key."),
}


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{entry.summary}" for name, entry in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: roundtrip [--version] [--help] COMMAND ...",
            "",
            "Find, check and execute atomic DEX arbitrage, exactly.",
            "",
            "Commands:",
            *lines,
            "",
            "`roundtrip COMMAND --help` explains a command.",
        ]
    )


def command(name: str) -> typer.Typer:
    """The sub-command `name`. Its module is imported only now: help stays quick, and the kernels' cache is
    chosen before the first kernel is imported."""
    entry = COMMANDS[name]
    if entry.kernels:
        from engine.amm.kernel_cache import use_kernel_cache

        use_kernel_cache()
    target = getattr(importlib.import_module(f"engine.app.commands.{name}"), entry.attribute)
    if isinstance(target, typer.Typer):
        return target
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(target)
    return single


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _complain(text: str, code: int, who: str = "roundtrip") -> int:
    print(f"{who}: {_one_line(text)}", file=sys.stderr)
    return code


def run_cli(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; failures print one sentence on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("--help", "-h"):
        print(_help(), file=sys.stdout if given else sys.stderr)
        return 0 if given else 2
    if given[0] == "--version":
        print(f"roundtrip {__version__}")
        return 0
    name = given[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "see roundtrip --help"
        return _complain(f"there is no command {name!r}: {hint}", 2)
    who = f"roundtrip {name}"
    try:
        result = command(name)(args=given[1:], prog_name=who, standalone_mode=False)
    except TyperException as error:
        message = getattr(error, "format_message", error.__str__)() or "a sub-command is missing"
        return _complain(f"{_one_line(message).rstrip('.')} (see {who} --help)", 2, who)
    except (UsageError, NodeUnreachable) as error:
        return _complain(str(error), 2)
    except RoundtripError as error:
        return _complain(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    if result == _INTERRUPTED:
        # Typer swallows Ctrl-C and answers with the code.
        return _complain("interrupted", _INTERRUPTED)
    return result if isinstance(result, int) else 0


def main() -> None:
    """Console-script entry."""
    # Its default hook writes every retry to stdout, which belongs to results.
    stamina.instrumentation.set_on_retry_hooks([])
    sys.exit(run_cli())
