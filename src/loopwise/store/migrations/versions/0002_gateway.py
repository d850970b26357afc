"""What the gateway records besides chat: endpoint, consent, the upstream's id, the conversation; and API keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("exchanges", sa.Column("endpoint", sa.String(), nullable=False, server_default="chat.completions"))
    op.add_column("exchanges", sa.Column("store", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("exchanges", sa.Column("upstream_id", sa.String(), nullable=True))
    op.add_column("exchanges", sa.Column("conversation", sa.BigInteger(), nullable=True))
    op.create_index("exchanges_conversation", "exchanges", ["conversation"], unique=False)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("at_once", sa.Integer(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("last_used", sa.Float(), nullable=True),
        sa.Column("revoked", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
