"""What tokens were found to do."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token_verdicts",
        sa.Column("chain_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("token", sa.String(42), primary_key=True),
        sa.Column("fault", sa.String(32), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.String(66), nullable=False),
        sa.Column("implementation", sa.String(42), nullable=False),
        sa.Column("implementation_hash", sa.String(66), nullable=False),
        sa.Column("features", sa.JSON(), nullable=False),
        sa.Column("judged_block", sa.BigInteger(), nullable=False),
        sa.Column("judged_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("token_verdicts")
