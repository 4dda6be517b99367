"""Verdicts on tokens, kept from run to run."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from engine.domain.token_safety import TokenCode, TokenFault, TokenVerdict
from engine.storage.models import TokenVerdictRow


class TokenVerdicts:
    """The latest verdict on each token of a chain."""

    def __init__(self, engine: Engine, chain_id: int):
        self._engine = engine
        self._chain_id = chain_id

    def put(self, verdicts: Sequence[TokenVerdict]) -> None:
        """Keep verdicts over earlier ones on the same tokens."""
        with Session(self._engine) as session:
            for verdict in verdicts:
                session.merge(_row(self._chain_id, verdict))
            session.commit()

    def all(self) -> list[TokenVerdict]:
        """Every verdict, by token; those of a kind unknown to this version are left out."""
        with Session(self._engine) as session:
            rows = session.scalars(
                select(TokenVerdictRow)
                .where(TokenVerdictRow.chain_id == self._chain_id)
                .order_by(TokenVerdictRow.token)
            )
            known = {fault.value for fault in TokenFault}
            return [_verdict(row) for row in rows if row.fault is None or row.fault in known]


def chains_with_verdicts(engine: Engine) -> list[int]:
    """The chains of which verdicts are kept."""
    with Session(engine) as session:
        return sorted(session.scalars(select(TokenVerdictRow.chain_id).distinct()))


def _row(chain_id: int, verdict: TokenVerdict) -> TokenVerdictRow:
    return TokenVerdictRow(
        chain_id=chain_id,
        token=verdict.token,
        fault=None if verdict.fault is None else verdict.fault.value,
        detail=verdict.detail,
        context=verdict.context,
        code_hash=verdict.code.code_hash,
        implementation=verdict.code.implementation,
        implementation_hash=verdict.code.implementation_hash,
        features=list(verdict.code.features),
        judged_block=verdict.judged_block,
        judged_at=verdict.judged_at,
        expires_at=verdict.expires_at,
    )


def _verdict(row: TokenVerdictRow) -> TokenVerdict:
    return TokenVerdict(
        row.token,
        None if row.fault is None else TokenFault(row.fault),
        row.detail,
        row.context,
        TokenCode(row.code_hash, row.implementation, row.implementation_hash, tuple(row.features)),
        row.judged_block,
        row.judged_at,
        row.expires_at,
    )
