"""Tables of the ledger database. Amounts in base units, gas prices in wei per gas, times in UTC ISO 8601."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from engine.storage.types import Int257, Uint256


class Base(DeclarativeBase):
    """Root of the tables."""


class RunRow(Base):
    """One start of the engine."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    started_at: Mapped[str] = mapped_column(String(32))
    mode: Mapped[str] = mapped_column(String(16))
    chain_id: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[str] = mapped_column(String(32))


class TokenRow(Base):
    """How to show a token's amounts."""

    __tablename__ = "tokens"

    chain_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    address: Mapped[str] = mapped_column(String(42), primary_key=True)
    symbol: Mapped[str] = mapped_column(Text)
    decimals: Mapped[int]


class TokenVerdictRow(Base):
    """The latest verdict on a token, `fault` null for a good one. Times are the chain's, in seconds."""

    __tablename__ = "token_verdicts"

    chain_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    token: Mapped[str] = mapped_column(String(42), primary_key=True)
    fault: Mapped[str | None] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text)
    context: Mapped[str] = mapped_column(Text)
    code_hash: Mapped[str] = mapped_column(String(66))
    implementation: Mapped[str] = mapped_column(String(42))
    implementation_hash: Mapped[str] = mapped_column(String(66))
    features: Mapped[list[str]] = mapped_column(JSON)
    judged_block: Mapped[int] = mapped_column(BigInteger)
    judged_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)


class OpportunityRow(Base):
    """An opportunity and the last verdict on it: "refused" (with the reason), "approved" or "simulated"."""

    __tablename__ = "opportunities"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    block_number: Mapped[int] = mapped_column(BigInteger)
    base_token: Mapped[str] = mapped_column(String(42))
    amount_in: Mapped[int] = mapped_column(Uint256)
    gross_profit: Mapped[int] = mapped_column(Int257)
    net_profit: Mapped[int] = mapped_column(Int257)
    verdict: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(32))
    document: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (Index("ix_opportunities_id", "id"),)


class CheckResultRow(Base):
    """One check's answer about an opportunity, in the order asked."""

    __tablename__ = "check_results"

    run_id: Mapped[int] = mapped_column(primary_key=True)
    opportunity_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    check_name: Mapped[str] = mapped_column(String(32))
    passed: Mapped[bool]
    reason: Mapped[str | None] = mapped_column(String(32))
    numbers: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "opportunity_id"], ["opportunities.run_id", "opportunities.id"], ondelete="CASCADE"
        ),
    )


class ExecutionRow(Base):
    """An intent and its outcome. `document` is the intent's own record of the opportunity and plan."""

    __tablename__ = "executions"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    recorded_at: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(8))
    opportunity_id: Mapped[str | None] = mapped_column(String(16))
    chain_id: Mapped[int] = mapped_column(BigInteger)
    built_on_block: Mapped[int] = mapped_column(BigInteger)
    transaction_hash: Mapped[str] = mapped_column(String(66))
    sender: Mapped[str] = mapped_column(String(42))
    nonce: Mapped[int] = mapped_column(BigInteger)
    base_token: Mapped[str] = mapped_column(String(42))
    outcome: Mapped[str] = mapped_column(String(16))
    block_number: Mapped[int] = mapped_column(BigInteger)
    block_hash: Mapped[str] = mapped_column(String(66))
    expected_profit: Mapped[int] = mapped_column(Int257)
    simulated_profit: Mapped[int] = mapped_column(Int257)
    realised_profit: Mapped[int] = mapped_column(Int257)
    gas_used: Mapped[int] = mapped_column(BigInteger)
    gas_price_wei: Mapped[int] = mapped_column(Uint256)
    gas_paid_wei: Mapped[int] = mapped_column(Uint256)
    miss: Mapped[str | None] = mapped_column(String(16))
    rival: Mapped[str | None] = mapped_column(String(66))
    document: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (
        Index("ix_executions_opportunity_id", "opportunity_id"),
        Index("ix_executions_block_number", "block_number"),
    )


class EntryRow(Base):
    """One side of a double entry; by execution and token the amounts sum to zero."""

    __tablename__ = "entries"

    execution_id: Mapped[str] = mapped_column(
        ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(String(32))
    token: Mapped[str] = mapped_column(String(42))
    amount: Mapped[int] = mapped_column(Int257)
