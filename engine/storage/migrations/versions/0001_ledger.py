"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_UINT256 = sa.String(78)
_INT257 = sa.String(79)


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("chain_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("address", sa.String(42), primary_key=True),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("decimals", sa.Integer(), nullable=False),
    )
    op.create_table(
        "opportunities",
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("base_token", sa.String(42), nullable=False),
        sa.Column("amount_in", _UINT256, nullable=False),
        sa.Column("gross_profit", _INT257, nullable=False),
        sa.Column("net_profit", _INT257, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=True),
        sa.Column("document", sa.JSON(), nullable=False),
    )
    op.create_index("ix_opportunities_id", "opportunities", ["id"])
    op.create_table(
        "check_results",
        sa.Column("run_id", sa.Integer(), primary_key=True),
        sa.Column("opportunity_id", sa.String(16), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("check_name", sa.String(32), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(32), nullable=True),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "opportunity_id"], ["opportunities.run_id", "opportunities.id"], ondelete="CASCADE"
        ),
    )
    op.create_table(
        "executions",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("recorded_at", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("opportunity_id", sa.String(16), nullable=True),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("built_on_block", sa.BigInteger(), nullable=False),
        sa.Column("transaction_hash", sa.String(66), nullable=False),
        sa.Column("sender", sa.String(42), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("base_token", sa.String(42), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.String(66), nullable=False),
        sa.Column("expected_profit", _INT257, nullable=False),
        sa.Column("simulated_profit", _INT257, nullable=False),
        sa.Column("realised_profit", _INT257, nullable=False),
        sa.Column("gas_used", sa.BigInteger(), nullable=False),
        sa.Column("gas_price_wei", _UINT256, nullable=False),
        sa.Column("gas_paid_wei", _UINT256, nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
    )
    op.create_index("ix_executions_opportunity_id", "executions", ["opportunity_id"])
    op.create_index("ix_executions_block_number", "executions", ["block_number"])
    op.create_table(
        "entries",
        sa.Column(
            "execution_id",
            sa.String(16),
            sa.ForeignKey("executions.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("account", sa.String(32), nullable=False),
        sa.Column("token", sa.String(42), nullable=False),
        sa.Column("amount", _INT257, nullable=False),
    )


def downgrade() -> None:
    for table in ("entries", "executions", "check_results", "opportunities", "tokens", "runs"):
        op.drop_table(table)
