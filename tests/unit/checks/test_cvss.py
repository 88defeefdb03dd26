"""CVSS scores: the examples of FIRST's published CVSS v3.1 user guide and specification."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.cvss import base_score, severity_of


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
    ],
)
def test_base_scores_are_those_of_the_specification(vector: str, score: float) -> None:
    assert base_score(vector) == score


@pytest.mark.parametrize(
    "vector", ["", "7.5", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H", "CVSS:3.1/AV:N", "AV:N/AC:L/Au:N/C:P"]
)
def test_other_vectors_have_no_score(vector: str) -> None:
    assert base_score(vector) is None


@pytest.mark.parametrize(
    ("score", "name"), [(0, "none"), (0.1, "low"), (3.9, "low"), (4, "medium"), (7, "high"), (9, "critical")]
)
def test_ranges_have_their_names(score: float, name: str) -> None:
    assert severity_of(score) == name


@given(st.sampled_from(list(itertools.product("NALP", "LH", "NLH", "NR", "UC", "HLN", "HLN", "HLN"))))
def test_every_vector_scores_between_nothing_and_ten(values: tuple[str, ...]) -> None:
    names = ("AV", "AC", "PR", "UI", "S", "C", "I", "A")
    vector = "/".join(["CVSS:3.1", *(f"{name}:{value}" for name, value in zip(names, values, strict=True))])
    score = base_score(vector)
    assert score is not None
    assert 0 <= score <= 10
    assert (score == 0) == (values[5:] == ("N", "N", "N"))
