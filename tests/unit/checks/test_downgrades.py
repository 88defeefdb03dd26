"""Whether migrations can be taken back."""

from __future__ import annotations

import pytest

from bot.checks.downgrades import irreversible

HEAD = 'revision = "a1"\ndef upgrade():\n    op.add_column()\n'


@pytest.mark.parametrize(
    "source",
    [
        HEAD + "def downgrade():\n    op.drop_column()\n",
        'revision: str = "a1"\ndef upgrade():\n    pass\ndef downgrade():\n    pass\n',
        "def upgrade():\n    op.add_column()\n",
        "",
    ],
)
def test_a_migration_with_a_way_back_or_nothing_to_take_back_is_reversible(source: str) -> None:
    assert irreversible(source) is None


@pytest.mark.parametrize(
    "source",
    [
        HEAD,
        HEAD + "def downgrade():\n    pass\n",
        HEAD + 'def downgrade():\n    """Nothing."""\n    ...\n',
        HEAD + "def downgrade():\n    raise NotImplementedError\n",
        HEAD.replace("revision =", "revision: str =") + "def downgrade() -> None:\n    pass\n",
    ],
)
def test_a_migration_without_a_way_back_is_named(source: str) -> None:
    assert irreversible(source) == "a1"


def test_what_is_no_python_is_said_to_be_none() -> None:
    with pytest.raises(ValueError, match="line 1"):
        irreversible("def (")
