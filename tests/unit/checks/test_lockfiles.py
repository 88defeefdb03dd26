"""Packages read from lock files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.lockfiles import Package, read

ROOT = Path(__file__).parents[3]

UV = """
version = 1
[[package]]
name = "shop"
version = "0.1.0"
source = { editable = "." }
[[package]]
name = "Jinja2"
version = "2.10"
source = { registry = "https://packages.example.com/simple" }
[[package]]
name = "forked"
version = "1.0"
source = { git = "https://github.com/acme/forked?rev=1#1" }
"""
POETRY = """
[[package]]
name = "jinja2"
version = "2.10"
groups = ["main"]
[[package]]
name = "pytest"
version = "7.0"
groups = ["dev"]
[[package]]
name = "private"
version = "1.0"
[package.source]
type = "legacy"
url = "https://pypi.example.com/simple"
[metadata]
lock-version = "2.1"
"""
REQUIREMENTS = """
# compiled
--index-url https://packages.example.com/simple
-i https://packages.example.com/simple
Jinja2[i18n]==2.10 ; python_version > "3.8" \\
    --hash=sha256:abc \\
    --hash=sha256:def
ruamel.yaml===0.18 # why
requests>=2
-e git+https://github.com/acme/forked#egg=forked
-r other.txt
star==1.*
"""


def test_uv_lock_lists_what_comes_from_an_index_and_tells_of_the_rest() -> None:
    locked = read("uv.lock", UV, dev=False)
    assert locked.packages == {Package("PyPI", "jinja2", "2.10")}
    assert locked.unjudged == ["forked"]


def test_the_project_s_own_lock_can_be_read() -> None:
    locked = read("uv.lock", (ROOT / "uv.lock").read_text(), dev=False)
    assert "aiohttp" in {package.name for package in locked.packages}
    assert "deploybot" not in {package.name for package in locked.packages}
    assert not locked.unjudged


@pytest.mark.parametrize(
    ("dev", "names"), [(False, {"jinja2", "private"}), (True, {"jinja2", "private", "pytest"})]
)
def test_poetry_lock_marks_what_is_for_development(dev: bool, names: set[str]) -> None:
    assert {package.name for package in read("poetry.lock", POETRY, dev=dev).packages} == names


def test_requirements_count_where_they_are_pinned() -> None:
    locked = read("deploy/requirements.txt", REQUIREMENTS, dev=False)
    assert locked.packages == {Package("PyPI", "jinja2", "2.10"), Package("PyPI", "ruamel-yaml", "0.18")}
    assert locked.unjudged == [
        "requests>=2",
        "-e git+https://github.com/acme/forked#egg=forked",
        "-r other.txt",
        "star==1.*",
    ]


V3: dict[str, Any] = {
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "shop", "version": "1.0.0"},
        "packages/web": {"version": "1.0.0"},
        "node_modules/web": {"resolved": "packages/web", "link": True},
        "node_modules/lodash": {"version": "4.17.4"},
        "node_modules/a/node_modules/@acme/b": {"version": "1.0.0"},
        "node_modules/alias": {"name": "left-pad", "version": "1.3.0"},
        "node_modules/vite": {"version": "5.0.0", "dev": True},
        "node_modules/own": {"version": "1.0.0", "resolved": "git+ssh://git@github.com/acme/own.git#1"},
    },
}
V1: dict[str, Any] = {
    "lockfileVersion": 1,
    "dependencies": {
        "a": {"version": "1.0.0", "dependencies": {"lodash": {"version": "4.17.4"}}},
        "alias": {"version": "npm:left-pad@1.3.0"},
        "own": {"version": "git+https://github.com/acme/own.git#1"},
    },
}


@pytest.mark.parametrize(
    ("data", "names"),
    [(V3, {"lodash", "@acme/b", "left-pad"}), (V1, {"a", "lodash", "left-pad"})],
)
def test_package_lock_is_read_in_its_old_and_new_form(data: dict[str, Any], names: set[str]) -> None:
    locked = read("package-lock.json", json.dumps(data), dev=False)
    assert {package.name for package in locked.packages} == names
    assert locked.unjudged == ["own"]
    assert all(package.ecosystem == "npm" for package in locked.packages)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.lock", ""),
        ("uv.lock", "[[package"),
        ("requirements.txt", "# nothing\n"),
        ("package-lock.json", "{}"),
        ("package-lock.json", "{"),
        ("Pipfile", "x"),
    ],
)
def test_an_empty_or_unreadable_lock_file_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError):
        read(name, text, dev=False)


@given(st.text(max_size=200))
def test_no_requirement_is_dropped_without_a_word(text: str) -> None:
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith(("#", "-"))]
    joined = "\n".join(line.replace(" #", "").replace("\\", "") for line in lines)
    try:
        locked = read("requirements.txt", joined, dev=False)
    except ValueError:
        assert not joined.strip()
    else:
        assert locked.packages or locked.unjudged
