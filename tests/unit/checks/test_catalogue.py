"""Every kind there is: described in full, and without words that mean something else in a sidecar."""

from __future__ import annotations

from typing import Any

import pytest

from bot.checklists.binding import RESERVED
from bot.checks.catalogue import Catalogue
from bot.checks.kind import Kind

KINDS = Catalogue().all()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_says_what_it_is_and_takes_no_reserved_word(kind: Kind[Any]) -> None:
    assert kind.about.endswith(".")
    assert kind.values
    taken = set(kind.params.model_fields) & set(RESERVED)
    assert not taken, f"{kind.name} has parameters that a sidecar reads as its own: {taken}"
    for name, field in kind.params.model_fields.items():
        assert field.description, f"{kind.name}.{name} is not described"


def test_the_scales_belong_to_values() -> None:
    for kind in KINDS:
        assert set(kind.scales) <= set(kind.values), kind.name


def test_a_misspelt_kind_finds_the_one_that_was_meant() -> None:
    catalogue = Catalogue()
    assert catalogue.get("headers.securty") is None
    assert catalogue.nearest("headers.securty") == "headers.security"
