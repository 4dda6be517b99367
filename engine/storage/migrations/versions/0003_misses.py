"""Why trades that were sent did not land."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("executions", sa.Column("miss", sa.String(16), nullable=True))
    op.add_column("executions", sa.Column("rival", sa.String(66), nullable=True))


def downgrade() -> None:
    op.drop_column("executions", "rival")
    op.drop_column("executions", "miss")
