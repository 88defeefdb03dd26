"""Sections of other checklists: put in where they belong, with their checks, or refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.checklists.library import ChecklistLibrary
from bot.checklists.reading import read
from bot.checklists.services import read_services
from bot.checks.catalogue import Catalogue
from bot.domain.errors import ChecklistUnusable, ServicesUnusable, SidecarUnusable
from bot.domain.routing import Routing
from bot.services.ports import SystemClock
from bot.services.verifying import SidecarVerifier
from tests.conftest import REPOSITORY

SHIPPED = REPOSITORY / "checklists"
BASE = """# Base

## Before
### Security
- [ ] Certificates are valid
- [ ] Headers are set

### Database
- [ ] Backup is fresh

## After
### Security
- [ ] Keys are valid

## Rollback Plan
### Triggers
- Errors rise
### Rollback Steps
1. Scale down
2. Verify rollback
"""
BASE_CHECKS = """version: 1
vars:
  base_url: {env: TESTS_BASE_URL, example: "https://shop.example.com"}
secrets:
  token: {env: TESTS_TOKEN}
environments:
  production: {forbid: [headers]}
allow: ["${vars.base_url}"]
defaults: {timeout: 7s, freshness: 5m}
presets:
  site: {url: "${vars.base_url}/base"}
items:
  before/security/certificates-are-valid: {text: Certificates are valid, check: {kind: tls, host: "${vars.base_url}"}}
  before/security/headers-are-set: {text: Headers are set, check: {kind: headers.security, use: site}}
  after/security/keys-are-valid:
    text: Keys are valid
    check: {kind: composite, of: [before/security/certificates-are-valid]}
  rollback/verify-rollback: {text: Verify rollback, check: {kind: watch.recovered}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.md").write_text(BASE)
    (tmp_path / "base.yaml").write_text(BASE_CHECKS)
    return tmp_path


def written(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.md"
    path.write_text(text)
    return path


def texts(path: Path) -> list[str]:
    return [item.text for item in read(path).checklist.items]


def refused(path: Path) -> str:
    with pytest.raises(ChecklistUnusable) as error:
        read(path)
    return str(error.value).replace(f"{path.parent}/", "")


def test_a_section_is_put_in_where_its_include_stands(folder: Path) -> None:
    path = written(
        folder,
        "# Mine\n\n## Start\n- [ ] One\n<!-- include: base.md#before/security -->\n- [ ] Two\n\n## End\n- [ ] Three\n",
    )
    checklist = read(path).checklist
    assert [(s.title, g.title, [i.text for i in g.items]) for s in checklist.sections for g in s.groups] == [
        ("Start", "", ["One"]),
        ("Start", "Security", ["Certificates are valid", "Headers are set", "Two"]),
        ("End", "", ["Three"]),
    ]
    assert [item.line for item in checklist.items] == [4, 5, 5, 6, 9]
    assert [item.key for item in checklist.items][1] == "start/security/certificates-are-valid"


def test_a_whole_file_comes_without_its_title_and_with_its_rollback_plan(folder: Path) -> None:
    checklist = read(written(folder, "# Mine\n\n<!-- include: base.md -->\n\n## More\n- [ ] Own\n")).checklist
    assert checklist.title == "Mine"
    assert [item.text for item in checklist.items][-2:] == ["Keys are valid", "Own"]
    assert checklist.triggers == ("Errors rise",)
    assert checklist.rollback_steps == ("Scale down", "Verify rollback")


def test_includes_reach_through_files(folder: Path) -> None:
    written(
        folder,
        "# Middle\n## Part\n<!-- include: base.md#database -->\n## Other\n- [ ] Not asked for\n",
        "middle",
    )
    assert texts(written(folder, "<!-- include: middle.md#part -->\n")) == ["Backup is fresh"]


def test_an_include_in_a_code_block_or_amid_words_is_text(folder: Path) -> None:
    path = written(
        folder,
        "## A\n- [ ] One\n\n```\n<!-- include: nothing.md -->\n```\nsee <!-- include: x.md --> there\n",
    )
    assert texts(path) == ["One"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "# M\n<!-- include: bse.md#security -->\n",
            "mine.md:2: there is no bse.md to include (did you mean base.md?)",
        ),
        (
            "<!-- include: base.md#datbase -->\n",
            "mine.md:1: base.md has no section #datbase (did you mean #database?)",
        ),
        (
            "\n\n<!-- include: base.md#security -->\n",
            "mine.md:3: #security stands for several sections of base.md: write #before/security or #after/security",
        ),
        ("<!-- include: ../base.md -->\n", "mine.md:1: an include names a file of the same folder"),
        ("<!-- include: mine.md#a -->\n", "mine.md:1: it includes itself: mine.md → mine.md"),
    ],
)
def test_an_include_that_leads_nowhere_is_refused_with_file_and_line(
    folder: Path, text: str, said: str
) -> None:
    assert said in refused(written(folder, text))


def test_a_circle_is_refused_where_it_closes(folder: Path) -> None:
    written(folder, "## B\n- [ ] b\n\n<!-- include: mine.md -->\n", "other")
    assert "other.md:4: it includes itself: mine.md → other.md → mine.md" in refused(
        written(folder, "<!-- include: other.md -->\n")
    )


def test_what_is_wrong_in_an_included_line_is_said_with_its_own_place(folder: Path) -> None:
    written(folder, "## B\n- [ ] b\n- [] almost\n", "other")
    [finding] = read(written(folder, "# Mine\n\n<!-- include: other.md -->\n")).findings
    assert (finding.line, finding.message.split(":")[:2]) == (3, ["other.md", "3"])


def test_the_checks_of_included_items_come_along_with_all_they_need(folder: Path) -> None:
    written(
        folder,
        "# Mine\n## Start\n<!-- include: base.md#before/security -->\n## R\n<!-- include: base.md#rollback-steps -->\n",
    )
    library = ChecklistLibrary([folder])
    bound = SidecarVerifier(
        library, SystemClock(), process={"TESTS_BASE_URL": "https://a.example.com"}
    ).bound("mine", environment="staging")
    keys = [
        "start/security/certificates-are-valid",
        "start/security/headers-are-set",
        "rollback/verify-rollback",
    ]
    assert sorted(bound.bindings) == sorted(keys)
    headers = bound.bindings[keys[1]]
    assert str(headers.checks[0].params.url) == "https://a.example.com/base"
    assert headers.checks[0].timeout == 7.0
    assert headers.freshness.total_seconds() == 300
    assert bound.allow == ("https://a.example.com",)
    in_production = SidecarVerifier(library, SystemClock(), process={}).bound(
        "mine", environment="production"
    )
    assert in_production.bindings[keys[1]].forbidden
    assert in_production.bindings[keys[0]].missing


def test_the_files_own_word_counts_before_what_it_includes(folder: Path) -> None:
    written(folder, "# Mine\n## Start\n<!-- include: base.md#before/security -->\n- [ ] Own\n")
    (folder / "mine.yaml").write_text(
        "version: 1\n"
        "vars: {base_url: https://mine.example.com}\n"
        "presets: {site: {url: 'https://other.example.com'}}\n"
        "items:\n"
        "  start/security/certificates-are-valid: {text: Certificates are valid, human: Look yourself}\n"
        "  start/security/own: {text: Own, check: {kind: http, use: site}}\n"
    )
    bound = SidecarVerifier(ChecklistLibrary([folder]), SystemClock(), process={}).bound(
        "mine", environment="staging"
    )
    assert bound.bindings["start/security/certificates-are-valid"].human == "Look yourself"
    assert str(bound.bindings["start/security/own"].checks[0].params.url) == "https://other.example.com"
    assert (
        str(bound.bindings["start/security/headers-are-set"].checks[0].params.url)
        == "https://mine.example.com/base"
    )


def test_a_check_made_of_items_that_were_not_included_stays_behind(folder: Path) -> None:
    written(folder, "# Mine\n## End\n<!-- include: base.md#after/security -->\n")
    bound = SidecarVerifier(ChecklistLibrary([folder]), SystemClock(), process={}).bound(
        "mine", environment="staging"
    )
    assert bound.bindings == {}


def test_a_text_that_changed_in_the_included_file_is_noticed(folder: Path) -> None:
    (folder / "base.md").write_text(
        BASE.replace("Headers are set", "Headers are set <!-- id: headers-are-set --> twice")
    )
    written(folder, "# Mine\n## Start\n<!-- include: base.md#before/security -->\n")
    with pytest.raises(SidecarUnusable, match="the item now reads"):
        SidecarVerifier(ChecklistLibrary([folder]), SystemClock(), process={}).bound(
            "mine", environment="staging"
        )


def test_a_bot_with_a_broken_include_does_not_start(folder: Path) -> None:
    written(folder, "<!-- include: gone.md -->\n")
    with pytest.raises(ChecklistUnusable, match=r"mine\.md:1"):
        SidecarVerifier(ChecklistLibrary([folder]), SystemClock(), process={}).validate()


def test_a_teams_own_folder_may_include_what_comes_with_the_bot(tmp_path: Path) -> None:
    written(tmp_path, "# Mine\n## Before\n<!-- include: production.md#pre-deployment-checks/database -->\n")
    library = ChecklistLibrary([tmp_path, SHIPPED])
    assert len(library.load("mine").items) == 6
    file = library.sidecar("mine")
    assert file is not None
    assert "before/database/migrations-are-up-to-date" in file.content.items


@pytest.mark.parametrize("name", ["web-service", "database-change", "mobile-release", "hotfix"])
def test_the_shipped_checklists_have_a_way_back_and_checks_that_bind(name: str) -> None:
    library = ChecklistLibrary([SHIPPED])
    checklist = library.load(name)
    assert 12 <= len(checklist.items) <= 40
    assert checklist.triggers
    assert checklist.rollback_steps[-1] == "Verify rollback"
    assert any(item.text == "Verify deployment" for item in checklist.items)
    verifier = SidecarVerifier(library, SystemClock(), process={})
    for environment in ("production", "staging"):
        bound = verifier.bound(name, environment=environment)
        assert bound.bindings
        assert bound.watch is not None
    assert Catalogue().get("tls") is not None


# ── services.yaml ────────────────────────────────────────────────────────────────────────────────────────

RULES = """version: 1
services:
  - {service: "*-db", checklist: database-change}
  - {service: storefront, environment: prod*, lead: U0000000001}
  - {service: "*", checklist: web-service, channel: C0000000001, team: T0000000001}
github:
  - {repository: acme/*, environment: production, leads: {Octocat: U0000000002}}
"""


def test_the_first_rule_that_says_something_decides(tmp_path: Path) -> None:
    (tmp_path / "services.yaml").write_text(RULES)
    routing = read_services(tmp_path / "services.yaml", ["database-change", "web-service"])
    assert routing.of("orders-db", "production").checklist == "database-change"
    found = routing.of("Storefront", "Production")
    assert (found.checklist, found.lead, found.channel) == ("web-service", "U0000000001", "C0000000001")
    assert found.team == "T0000000001"
    assert routing.of("storefront", "staging").lead == ""
    github = routing.of_github("Acme/shop", "production")
    assert github is not None
    assert github.leads == {"octocat": "U0000000002"}
    assert routing.of_github("acme/shop", "staging") is None


def test_everything_that_is_wrong_with_the_rules_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "services.yaml"
    path.write_text(
        "version: 1\nservices:\n  - {service: a, checklist: web-servce, only: [web-service]}\n"
        "  - {channel: deploys}\n"
        "github:\n  - {repository: acme/shop, team: acme, lead: ana, leads: {ben: ben}}\n"
    )
    with pytest.raises(ServicesUnusable) as refused_:
        read_services(path, ["web-service"])
    assert refused_.value.problems == (
        "services/0/checklist: there is no checklist “web-servce” (did you mean “web-service”?)",
        "services/1/channel: “deploys” is no Slack channel id (C…)",
        "github/0/lead: “ana” is no Slack user id (U…)",
        "github/0/team: “acme” is no Slack workspace id (T…)",
        "services/0/checklist: “web-servce” is not among its own `only`",
        "github/0/leads/ben: “ben” is no Slack user id (U…)",
    )
    path.write_text("version: 1\nservces: []\ngithub: [{repository: shop}]\n")
    with pytest.raises(ServicesUnusable) as refused_:
        read_services(path, [])
    assert len(refused_.value.problems) == 2
    assert "did you mean “services”?" in str(refused_.value)


def test_a_library_without_rules_has_none_and_one_with_rules_reads_them_again(tmp_path: Path) -> None:
    written(tmp_path, "- [ ] a\n", "web-service")
    library = ChecklistLibrary([tmp_path])
    assert library.routing() == Routing()
    (tmp_path / "services.yaml").write_text("version: 1\nservices: [{checklist: web-service}]\n")
    assert library.routing().of("x", "y").checklist == "web-service"
    (tmp_path / "services.yaml").write_text("version: 1\nservices: []\n")
    assert library.routing().of("x", "y").checklist == ""
