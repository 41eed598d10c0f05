"""Keep what each decision is about: a run on another issue or pull request is no overlap."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_FILL = """
UPDATE decisions SET subject_key = (
  SELECT CASE
    WHEN runs.trigger IN ('issues', 'issue_comment', 'pull_request') THEN 'issue:' || runs.subject
    ELSE runs.trigger || ':' || runs.subject
  END FROM runs WHERE runs.id = decisions.run_id
)
WHERE run_id IN (
  SELECT id FROM runs
  WHERE subject <> '' AND trigger NOT IN ('schedule', 'manual', 'run_completed', 'webhook')
)
"""


def upgrade() -> None:
    text = sa.Text()
    with op.batch_alter_table("decisions") as batch:
        batch.add_column(sa.Column("subject_key", text, nullable=False, server_default=""))
    op.execute(_FILL)
    with op.batch_alter_table("decisions") as batch:
        batch.alter_column("subject_key", server_default=None, existing_type=text, existing_nullable=False)
