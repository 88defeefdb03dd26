"""Known vulnerabilities, with a contract server of OSV's API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.domain.check import Evidence, Outcome
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.contracts.osv import OsvServer
from tests.servers.serving import serving

JINJA = ("PyPI", "jinja2", "2.10")
HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"
LOW = "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N"


@pytest.fixture
def osv() -> Iterator[tuple[OsvServer, str]]:
    made = OsvServer()
    with serving(made.application) as url:
        yield made, url


async def deps(
    url: str, folder: Path, text: str = "jinja2==2.10\n", *, warn: dict[str, Any] | None = None, **params: Any
) -> Evidence:
    (folder / "requirements.txt").write_text(text)
    given = {"url": url, "lockfiles": ["requirements.txt"], **params}
    return await examine("deps", given, context=make_context(root=folder), warn=warn)


def rated(vector: str) -> list[dict[str, str]]:
    return [{"type": "CVSS_V3", "score": vector}]


async def test_packages_without_advisories_pass_and_rest_on_the_lock_file(
    osv: tuple[OsvServer, str], tmp_path: Path
) -> None:
    evidence = await deps(osv[1], tmp_path)
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["worst"] == "none"
    assert evidence.facts["lockfiles"].startswith("sha256:")


async def test_a_serious_advisory_fails_and_names_the_fix(osv: tuple[OsvServer, str], tmp_path: Path) -> None:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10.1"}]}]
    affected = [{"package": {"name": "Jinja2", "ecosystem": "PyPI"}, "ranges": ranges}]
    osv[0].knows(JINJA, "GHSA-462w", aliases=["CVE-2016-10745"], severity=rated(HIGH), affected=affected)
    evidence = await deps(osv[1], tmp_path)
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["ids"] == ["CVE-2016-10745"]
    assert "fixed in 2.10.1" in evidence.excerpt


async def test_the_rating_of_the_database_goes_before_the_vector(
    osv: tuple[OsvServer, str], tmp_path: Path
) -> None:
    osv[0].knows(JINJA, "GHSA-1", severity=rated(LOW), database_specific={"severity": "CRITICAL"})
    evidence = await deps(osv[1], tmp_path)
    assert evidence.values["worst"] == "critical"


async def test_an_advisory_below_the_severity_passes_unless_it_is_lowered(
    osv: tuple[OsvServer, str], tmp_path: Path
) -> None:
    osv[0].knows(JINJA, "GHSA-1", severity=rated(LOW))
    assert (await deps(osv[1], tmp_path)).outcome is Outcome.PASS
    assert (await deps(osv[1], tmp_path, severity="low")).outcome is Outcome.FAIL
    assert (await deps(osv[1], tmp_path, warn={"worst": ">= low"})).outcome is Outcome.WARN


async def test_an_advisory_that_nobody_rates_warns(osv: tuple[OsvServer, str], tmp_path: Path) -> None:
    osv[0].knows(JINJA, "PYSEC-1", severity=[{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}])
    assert (await deps(osv[1], tmp_path)).outcome is Outcome.WARN


async def test_a_malicious_package_is_critical(osv: tuple[OsvServer, str], tmp_path: Path) -> None:
    osv[0].knows(JINJA, "MAL-2026-1")
    assert (await deps(osv[1], tmp_path)).outcome is Outcome.FAIL


async def test_an_advisory_on_a_later_page_counts(osv: tuple[OsvServer, str], tmp_path: Path) -> None:
    osv[0].knows(JINJA, "GHSA-1", severity=rated(LOW))
    osv[0].knows(JINJA, "GHSA-2", severity=rated(HIGH))
    assert (await deps(osv[1], tmp_path)).outcome is Outcome.FAIL


async def test_one_vulnerability_under_two_ids_counts_once_by_its_worst_rating(
    osv: tuple[OsvServer, str], tmp_path: Path
) -> None:
    osv[0].knows(JINJA, "PYSEC-1", aliases=["CVE-1"])
    osv[0].knows(JINJA, "GHSA-1", aliases=["CVE-1", "PYSEC-1"], severity=rated(HIGH))
    evidence = await deps(osv[1], tmp_path)
    assert (evidence.values["vulnerable"], evidence.values["unrated"]) == (1, 0)


async def test_withdrawn_and_accepted_advisories_do_not_count(
    osv: tuple[OsvServer, str], tmp_path: Path
) -> None:
    osv[0].knows(JINJA, "GHSA-1", severity=rated(HIGH), withdrawn="2026-01-01T00:00:00Z")
    osv[0].knows(JINJA, "GHSA-2", aliases=["CVE-2"], severity=rated(HIGH))
    evidence = await deps(osv[1], tmp_path, ignore=["CVE-2"])
    assert evidence.outcome is Outcome.PASS
    assert "1 accepted" in evidence.observed


async def test_many_packages_are_asked_about_in_thousands(osv: tuple[OsvServer, str], tmp_path: Path) -> None:
    osv[0].knows(("PyPI", "p-2499", "1"), "GHSA-1", severity=rated(HIGH))
    text = "".join(f"p-{number}==1\n" for number in range(2500))
    evidence = await deps(osv[1], tmp_path, text)
    assert evidence.outcome is Outcome.FAIL
    assert osv[0].asked == [1000, 1000, 500]


async def test_an_osv_that_does_not_answer_or_answers_in_part_is_unknown(
    osv: tuple[OsvServer, str], tmp_path: Path
) -> None:
    osv[0].partial = True
    assert (await deps(osv[1], tmp_path)).outcome is Outcome.UNKNOWN
    assert (await deps(f"http://127.0.0.1:{free_port()}", tmp_path)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("text", ["", "# nothing\n", "jinja2>=2\n", "jinja2==2.10\nrequests\n"])
async def test_an_empty_or_unpinned_list_is_unknown(
    osv: tuple[OsvServer, str], tmp_path: Path, text: str
) -> None:
    assert (await deps(osv[1], tmp_path, text)).outcome is Outcome.UNKNOWN


async def test_a_vulnerable_pin_fails_even_among_unpinned_ones(
    osv: tuple[OsvServer, str], tmp_path: Path
) -> None:
    osv[0].knows(JINJA, "GHSA-1", severity=rated(HIGH))
    assert (await deps(osv[1], tmp_path, "jinja2==2.10\nrequests\n")).outcome is Outcome.FAIL


async def test_a_missing_lock_file_is_unknown(osv: tuple[OsvServer, str], tmp_path: Path) -> None:
    assert (await deps(osv[1], tmp_path, lockfiles=["uv.lock"])).outcome is Outcome.UNKNOWN


async def test_a_lock_file_outside_the_root_is_an_error(osv: tuple[OsvServer, str], tmp_path: Path) -> None:
    assert (await deps(osv[1], tmp_path, lockfiles=["../uv.lock"])).outcome is Outcome.ERROR
