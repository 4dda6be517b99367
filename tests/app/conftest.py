"""One world for all these tests, with our contracts on it, in a process that is not the engine's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import stamina.instrumentation
from living_world import LivingWorld

from engine.amm.kernel_cache import use_kernel_cache
from engine.app.cli import run_cli

use_kernel_cache()


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingWorld]:
    """The world that `living` gives to one test after the other."""
    # Compiling takes a minute when the cache is empty: no test's waiting is meant to cover that.
    from engine.app.kernels import warm_kernels

    warm_kernels()
    world = LivingWorld(tmp_path_factory.mktemp("living"))
    yield world
    world.close()


@pytest.fixture
def living(shared_world: LivingWorld) -> LivingWorld:
    """A world that mines when told to, with our contracts deployed by Ape for a funded operator. What
    an earlier engine left waiting has landed or is gone: it would be foreign to a new one's records."""
    if shared_world.waiting():
        shared_world.mine()
        shared_world.rpc("anvil_dropAllTransactions")
    return shared_world


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ended]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command in this process, which spares its start; everything else is as in one of its own."""

    # As the console script does.
    stamina.instrumentation.set_on_retry_hooks([])

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        code = run_cli([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return run


@pytest.fixture
def settle(living: LivingWorld, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Ended]:
    """Starts the bot once more with a configuration, for one block on which it finds nothing worth sending:
    what an earlier run left in flight has landed by then, and is booked."""

    def run(config: Path) -> Ended:
        living.mine()
        with monkeypatch.context() as patch, living.quiet_blocks():
            patch.setenv("ROUNDTRIP__RISK__MIN_NET_PROFIT_DEFAULT", str(10**30))
            ended = cli("run", "--config", config, "--mode", "live", "--yes-live", "--blocks", 1)
        assert ended.code == 0, ended.err
        return ended

    return run


@pytest.fixture
def config(living: LivingWorld, tmp_path: Path) -> Path:
    """A live configuration with records in a folder of this test's own."""
    return living.write_config(tmp_path)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Where `config` keeps journal and ledger."""
    return tmp_path / "records"
