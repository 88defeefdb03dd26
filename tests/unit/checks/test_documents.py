"""What is read from Markdown documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.documents import changelog_lines, read, relative

GUIDE = """\
# Deployment guide

Intro with [a link](docs/setup.md#top) and ![a picture](img/a.png).

## 1. Before you `start`

### Backups

- see <https://example.com/x>

## Rollback

## Contacts

| who | why |
| --- | --- |
| Ana | SHOP_DATABASE_URL |

```
## Not a heading
```
"""


def test_sections_with_something_under_them_are_filled() -> None:
    document = read(GUIDE)
    assert document.filled == ("Deployment guide", "1. Before you start", "Backups", "Contacts")
    assert document.empty == ("Rollback",)


def test_required_headings_are_found_as_words_whatever_their_case_and_number() -> None:
    assert read(GUIDE).missing_headings(["before you start", "Rollback", "contact", "Not a heading"]) == [
        "Rollback (empty)",
        "contact",
        "Not a heading",
    ]


def test_names_must_stand_by_themselves() -> None:
    assert read(GUIDE).missing_names(["SHOP_DATABASE_URL", "SHOP_DATABASE", "URL"]) == [
        "SHOP_DATABASE",
        "URL",
    ]


def test_links_and_pictures_are_listed_once() -> None:
    assert read(GUIDE).links == ("docs/setup.md#top", "img/a.png", "https://example.com/x")


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("setup.md#top", "docs/setup.md"),
        ("../README.md", "README.md"),
        ("/img/a%20b.png", "img/a b.png"),
        ("../../outside.md", "../outside.md"),
        ("#anchor", None),
        ("https://example.com/x", None),
        ("mailto:ana@example.com", None),
        ("//example.com/x", None),
    ],
)
def test_relative_links_lead_into_the_repository(link: str, path: str | None) -> None:
    assert relative("docs/guide.md", link) == path


CHANGES = """\
# Changelog

## [Unreleased]

- soon

## [1.4.20] - 2026-03-02

- twenty

## v1.4.2 (2026-03-01)

### Added

- search
- filters

## 1.4.1

## 1.4.0-rc1

- candidate
"""


@pytest.mark.parametrize(
    ("tag", "lines"),
    [
        ("v1.4.2", 2),
        ("1.4.2", 2),
        ("v1.4.20", 1),
        ("v1.4.1", 0),
        ("v1.4.0", None),
        ("v1.4", None),
        ("4.2", None),
    ],
)
def test_a_version_has_its_own_entry_and_not_that_of_a_similar_one(tag: str, lines: int | None) -> None:
    assert changelog_lines(CHANGES, tag) == lines


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    document = read(text)
    assert document.missing_headings([]) == []
    changelog_lines(text, "v1.0.0")
