"""What the gateway records besides chat: endpoint, consent, the upstream's id, the conversation; expiry; API keys."""

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
    for table in ("exchanges", "feedback", "chunks"):
        op.add_column(table, sa.Column("expired", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.drop_index("exchanges_episode", "exchanges")
    _create_partial_index("exchanges_episode", "exchanges", ["episode", "seq"], "episode IS NOT NULL")
    _create_partial_index("exchanges_conversation", "exchanges", ["conversation", "seq"], "conversation IS NOT NULL")
    _create_partial_index("exchanges_withheld", "exchanges", ["episode"], "NOT store AND episode IS NOT NULL")
    _create_partial_index("exchanges_unexpired", "exchanges", ["at"], "NOT expired")
    _create_partial_index("feedback_episode", "feedback", ["episode_id"], "episode_id IS NOT NULL")
    _create_partial_index("feedback_unexpired", "feedback", ["at"], "NOT expired")
    op.drop_index("feedback_user", "feedback")  # it cost each row a page; feedback is read in order, not by person
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


def _create_partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
