"""`roundtrip tokens`: what was found out about each token."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from engine.app.commands.ledger import ConfigOption, DirectoryOption, JsonOption, storage_directory
from engine.app.output import out, print_json
from engine.domain.token_safety import TokenVerdict
from engine.storage.database import open_database
from engine.storage.token_verdicts import TokenVerdicts, chains_with_verdicts


def tokens(
    config: ConfigOption = None, directory: DirectoryOption = None, as_json: JsonOption = False
) -> None:
    """List the verdicts on tokens: whether each may be traded, why not, what its code can do, and until when
    that counts (seconds of the chain's clock)."""
    engine = open_database(storage_directory(config, directory) / "ledger.sqlite", create=False)
    try:
        found = [
            (chain, verdict)
            for chain in chains_with_verdicts(engine)
            for verdict in TokenVerdicts(engine, chain).all()
        ]
    finally:
        engine.dispose()
    if as_json:
        print_json({"tokens": [_document(chain, verdict) for chain, verdict in found]})
        return
    table = Table("token", "verdict", "detail", "code can", "block", "expires at")
    for _, verdict in found:
        said = "good" if verdict.fault is None else verdict.fault.value
        table.add_row(
            verdict.token,
            said,
            escape(verdict.detail),
            escape(", ".join(verdict.code.features)),
            str(verdict.judged_block),
            str(verdict.expires_at),
        )
    out.print(table)


def _document(chain_id: int, verdict: TokenVerdict) -> dict[str, Any]:
    return {
        "chain_id": chain_id,
        "token": verdict.token,
        "safe": verdict.is_safe,
        "fault": None if verdict.fault is None else verdict.fault.value,
        "detail": verdict.detail,
        "context": verdict.context,
        "code_hash": verdict.code.code_hash,
        "implementation": verdict.code.implementation or None,
        "implementation_hash": verdict.code.implementation_hash or None,
        "features": list(verdict.code.features),
        "judged_block": verdict.judged_block,
        "judged_at": verdict.judged_at,
        "expires_at": verdict.expires_at,
    }
