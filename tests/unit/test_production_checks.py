"""The checks that come with the production checklist: every item is bound, and addresses bring a third to life."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bot.checklists.binding import BoundChecklist, bind
from bot.checklists.conduct import conduct_of
from bot.checklists.library import ChecklistLibrary
from bot.checklists.sidecar import read_sidecar
from bot.checks.catalogue import Catalogue
from bot.checks.kind import seconds
from bot.domain.checklist import Checklist, Group, Item, Section
from bot.domain.conduct import Permission
from bot.domain.signals import Form

FOLDER = Path(__file__).parent.parent.parent / "checklists"
LIBRARY = ChecklistLibrary([FOLDER])
CATALOGUE = Catalogue()

#: What the sidecar's head says is enough for more than a third.
ADDRESSES = {
    "DEPLOYBOT_BASE_URL": "https://shop.example.com",
    "DEPLOYBOT_DATABASE_DSN": "postgresql://checks:secret-word@db.example.com/shop",
    "DEPLOYBOT_REDIS_DSN": "rediss://:secret-word@cache.example.com",
    "DEPLOYBOT_PROMETHEUS_URL": "http://prometheus.example.com:9090",
    "DEPLOYBOT_ALERTMANAGER_URL": "http://alertmanager.example.com:9093",
    "DEPLOYBOT_GITHUB_REPOSITORY": "example/shop",
    "DEPLOYBOT_GITHUB_TOKEN": "secret-word",
}


def bound(process: Mapping[str, str], environment: str = "production") -> BoundChecklist:
    """The production checklist's checks with these environment variables."""
    file = LIBRARY.sidecar("production")
    assert file is not None
    return bind(
        file,
        LIBRARY.load("production"),
        CATALOGUE,
        duration=seconds,
        environment=environment,
        process=process,
    )


@pytest.mark.parametrize("environment", ["production", "staging"])
@pytest.mark.parametrize("process", [{}, ADDRESSES], ids=["nothing filled in", "addresses"])
def test_every_item_is_bound_and_nothing_is_wrong(environment: str, process: Mapping[str, str]) -> None:
    found = bound(process, environment)
    steps = {key: binding for key, binding in found.bindings.items() if key.startswith("rollback/")}
    bindings = {key: binding for key, binding in found.bindings.items() if key not in steps}
    assert list(bindings) == [item.key for item in LIBRARY.load("production").items]
    assert "rollback/verify-rollback" in steps
    assert found.watch is not None
    assert [signal.trigger for signal in found.watch.signals] == list(LIBRARY.load("production").triggers)
    machine = [b for b in bindings.values() if b.checks and not b.human]
    partly = [b for b in bindings.values() if b.checks and b.human]
    person = [b for b in bindings.values() if not b.checks]
    assert (len(machine), len(partly), len(person)) == (87, 19, 1)
    assert [binding.key for binding in person] == ["documentation/communication/schedule-review"]


def test_addresses_alone_verify_a_third_of_the_items_without_a_person() -> None:
    ready = [
        binding
        for binding in bound(ADDRESSES).bindings.values()
        if binding.checks and not binding.missing and not binding.forbidden and not binding.human
    ]
    assert len(ready) >= 37


def test_the_hosts_of_the_addresses_are_allowed_and_their_passwords_are_not_shown() -> None:
    found = bound(ADDRESSES)
    assert {"db.example.com", "cache.example.com", "https://shop.example.com"} <= set(found.allow)
    assert "secret-word" not in repr(found)
    assert "secret-word" not in "".join(found.allow)


def test_load_tests_are_forbidden_in_production_and_nowhere_else() -> None:
    forbidden = [b.key for b in bound({}).bindings.values() if b.forbidden]
    assert len(forbidden) == 5
    assert all("load-testing" in key for key in forbidden)
    assert not any(b.forbidden for b in bound({}, "staging").bindings.values())


# ── the reference ────────────────────────────────────────────────────────────────────────────────────────


def reference_checklist() -> Checklist:
    """A checklist with the items the reference binds."""
    read = YAML(typ="safe", pure=True).load((FOLDER / "reference.yaml").read_text())
    items = read["items"]
    made = tuple(Item(key=key, text=item["text"]) for key, item in items.items())
    return Checklist(
        title="Reference",
        sections=(Section(title="R", groups=(Group(title="", items=made),)),),
        triggers=tuple(signal["trigger"] for signal in read["watch"]["signals"].values()),
    )


def test_the_reference_can_be_used_as_it_stands() -> None:
    file = read_sidecar(FOLDER / "reference.yaml")
    found = bind(
        file, reference_checklist(), CATALOGUE, duration=seconds, environment="production", process={}
    )
    kinds = {spec.kind for binding in found.bindings.values() for spec in binding.checks}
    assert found.watch is not None
    assert [signal.form for signal in found.watch.ready] == list(Form)
    assert kinds == {kind.name for kind in CATALOGUE.all()}


def test_the_reference_has_every_rule_of_people() -> None:
    file = read_sidecar(FOLDER / "reference.yaml")
    rules = conduct_of(
        file,
        reference_checklist(),
        environment="production",
        service="storefront",
        version="v1",
        process={},
    )
    assert rules.gates
    assert rules.optional
    assert rules.owned
    assert rules.approval is not None
    assert set(rules.permissions) == set(Permission)


@pytest.mark.parametrize("kind", CATALOGUE.all(), ids=lambda kind: kind.name)
def test_the_reference_names_every_option_and_value_of_a_kind(kind: object) -> None:
    name = kind.name  # type: ignore[attr-defined]
    text = (FOLDER / "reference.yaml").read_text()
    start = text.index(f"  reference/{name.replace('.', '-')}:\n")
    before = text[text.rindex("\n\n", 0, start) : start]
    block = text[start : text.find("\n\n", start)]
    for field, info in kind.params.model_fields.items():  # type: ignore[attr-defined]
        option = info.alias or field
        assert f"      {option}: " in block or f"      # {option}: " in block, f"{name}: {option}"
    for value in kind.values:  # type: ignore[attr-defined]
        assert f"#   {value}: " in before, f"{name} observes {value}"


def test_the_reference_names_every_key_of_the_form() -> None:
    text = (FOLDER / "reference.yaml").read_text()
    file = read_sidecar(FOLDER / "reference.yaml").content
    watch = file.watch
    assert watch is not None
    parts = (watch, watch.escalate, *watch.known_bad, watch.signals["errors"])
    environment = next(iter(file.environments.values()))
    for part in (file, file.defaults, environment, *parts):
        model = type(part)
        for field in model.model_fields:
            assert f"{field}:" in text, f"{model.__name__}.{field}"
    for field in ("all", "human", "freshness", "cheap", "samples", "attempts", "timeout", "use", "id"):
        assert f"{field}:" in text
