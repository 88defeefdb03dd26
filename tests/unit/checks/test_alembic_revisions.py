"""Alembic's files, read without running them, as Alembic itself reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from alembic.script.revision import Revision as TheirRevision
from alembic.script.revision import RevisionMap
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.alembic_revisions import Revision, Revisions, read_folders, revision_of, version_folders
from bot.checks.kind import Broken
from tests.checking import make_context

REPOSITORY = Path(__file__).parents[3]


@st.composite
def histories(draw: st.DrawFn) -> list[Revision]:
    """Histories with branches and merges: each revision follows some of those before it."""
    count = draw(st.integers(1, 8))
    made: list[Revision] = []
    for number in range(count):
        earlier = [one.id for one in made]
        down = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2)) if earlier else []
        made.append(Revision(id=f"r{number}", down=tuple(down)))
    return made


@given(histories())
def test_heads_and_what_is_missing_are_alembics(history: list[Revision]) -> None:
    theirs = RevisionMap(lambda: [TheirRevision(one.id, one.down or None) for one in history])
    ours = Revisions(history)
    assert ours.heads == sorted(theirs.heads)
    assert ours.missing([]) == {one.id for one in history}
    for one in history:
        have = {revision.revision for revision in theirs.iterate_revisions(one.id, "base")}
        assert ours.missing([one.id]) == {other.id for other in history} - have


def test_our_own_migrations_are_read_as_alembic_reads_them() -> None:
    theirs = ScriptDirectory(str(REPOSITORY / "migrations"))
    ours = read_folders([REPOSITORY / "migrations/versions"])
    assert ours.heads == sorted(theirs.get_heads())


def test_a_revision_is_read_in_every_way_it_is_written() -> None:
    source = (
        "from typing import Union\n"
        'revision: str = "b1"\ndown_revision: Union[str, None] = ("a1", "a2")\n'
        'branch_labels = ["shop"]\ndepends_on = "c1"\n'
    )
    assert revision_of(source, "b1.py") == Revision(
        id="b1", down=("a1", "a2"), depends=("c1",), labels=("shop",)
    )
    assert revision_of("import os\n", "helper.py") is None


def test_a_label_stands_for_its_revision() -> None:
    revisions = Revisions(
        [Revision(id="a", labels=("shop",)), Revision(id="b", depends=("shop",)), Revision(id="c")]
    )
    assert revisions.missing(["b"]) == {"c"}


@pytest.mark.parametrize(
    "source", ["revision = make()\n", "revision = 'a'\ndown_revision = other.id\n", "revision = (\n"]
)
def test_a_file_that_would_have_to_be_run_is_an_error(source: str) -> None:
    with pytest.raises(Broken):
        revision_of(source, "a.py")


def test_a_history_that_does_not_hang_together_is_an_error() -> None:
    with pytest.raises(Broken, match="refers to x"):
        Revisions([Revision(id="a", down=("x",))])
    with pytest.raises(Broken, match="two migration files"):
        Revisions([Revision(id="a"), Revision(id="a")])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("alembic.ini", "[alembic]\nscript_location = db\nversion_locations = one two\n"),
        (
            "alembic.ini",
            "[alembic]\nscript_location = db\npath_separator = os\nversion_locations = one:%(here)s/two\n",
        ),
        (
            "alembic.ini",
            "[alembic]\nscript_location = db\nversion_locations = one;two\nrecursive_version_locations = true\n",
        ),
        (
            "pyproject.toml",
            '[tool.alembic]\nscript_location = "db"\nversion_locations = ["one", "%(here)s/two"]\n',
        ),
    ],
)
def test_the_folders_are_found_as_they_are_written(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    folders, recursive = version_folders(make_context(root=tmp_path), config=name, scripts="")
    assert folders == [tmp_path / "one", tmp_path / "two"]
    assert recursive == ("recursive" in text)
