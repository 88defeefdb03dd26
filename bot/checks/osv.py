"""OSV.dev's API: which known vulnerabilities packages have, and how bad they are.

`POST /v1/querybatch` takes up to a thousand packages, keeps their order and gives ids only, in pages; each
id's particulars are asked for one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.checks.cvss import SEVERITIES, base_score, severity_of
from bot.checks.kind import NoData
from bot.checks.lockfiles import Package
from bot.checks.source import Source, segment

#: Packages in one query, pages of one, advisories looked up, and look-ups at once.
BATCH, MOST_PAGES, MOST_ADVISORIES, AT_ONCE = 1000, 20, 300, 8

_NAMES = {"moderate": "medium", "low": "low", "medium": "medium", "high": "high", "critical": "critical"}


@dataclass(frozen=True, kw_only=True)
class Advisory:
    """A known vulnerability of one package of ours."""

    package: Package
    #: Its ids, the one OSV lists it under first.
    ids: tuple[str, ...]
    #: `unrated` where nobody says.
    severity: str
    summary: str
    #: The version it is fixed in; empty where there is none.
    fixed: str

    @property
    def id(self) -> str:
        """The id to speak of: CVE where it has one."""
        return next((name for name in self.ids if name.startswith("CVE-")), self.ids[0])


async def advisories(osv: Source, packages: Iterable[Package]) -> list[Advisory]:
    """What is known about the packages, worst first. Raises NoData where the answer is not whole."""
    listed = sorted(packages)
    affected: dict[str, list[Package]] = {}
    for start in range(0, len(listed), BATCH):
        for package, names in (await _batch(osv, listed[start : start + BATCH])).items():
            for name in names:
                affected.setdefault(name, []).append(package)
    if len(affected) > MOST_ADVISORIES:
        raise NoData(
            f"OSV knows {len(affected)} advisories, more than can be looked up: is this the lock file?"
        )
    places = asyncio.Semaphore(AT_ONCE)

    async def particulars(name: str) -> Any:
        async with places:
            return await osv.get(f"/v1/vulns/{segment(name)}")

    details = await asyncio.gather(*map(particulars, affected))
    found = [
        _advisory(package, detail)
        for (_, owners), detail in zip(affected.items(), details, strict=True)
        if not detail.get("withdrawn")
        for package in owners
    ]
    return sorted(_merged(found), key=lambda one: (-SEVERITIES.index(one.severity), one.package, one.id))


async def _batch(osv: Source, packages: Sequence[Package]) -> dict[Package, list[str]]:
    found: dict[Package, list[str]] = {package: [] for package in packages}
    waiting: list[tuple[Package, str]] = [(package, "") for package in packages]
    for _ in range(MOST_PAGES):
        queries = [
            {
                "package": {"name": package.name, "ecosystem": package.ecosystem},
                "version": package.version,
                **({"page_token": token} if token else {}),
            }
            for package, token in waiting
        ]
        answer = await osv.post("/v1/querybatch", json={"queries": queries})
        results = (answer or {}).get("results")
        if not isinstance(results, list) or len(results) != len(queries):
            raise NoData("OSV's answer does not cover every package")
        further = []
        for (package, _), result in zip(waiting, results, strict=True):
            found[package] += [str(one["id"]) for one in (result or {}).get("vulns") or ()]
            if (result or {}).get("next_page_token"):
                further.append((package, str(result["next_page_token"])))
        waiting = further
        if not waiting:
            return found
    raise NoData(f"OSV's answer has more than {MOST_PAGES} pages")


def _advisory(package: Package, detail: Mapping[str, Any]) -> Advisory:
    ids = (str(detail["id"]), *map(str, detail.get("aliases") or ()))
    about = [
        one
        for one in detail.get("affected") or ()
        if str(one.get("package", {}).get("name", "")).lower().replace("_", "-").replace(".", "-")
        == package.name.lower().replace("_", "-").replace(".", "-")
    ]
    fixed = [
        str(event["fixed"])
        for one in about
        for span in one.get("ranges") or ()
        if span.get("type") != "GIT"
        for event in span.get("events") or ()
        if "fixed" in event
    ]
    return Advisory(
        package=package,
        ids=ids,
        severity=_severity(detail, about),
        summary=str(detail.get("summary") or "").strip(),
        fixed=" or ".join(dict.fromkeys(fixed)),
    )


def _severity(detail: Mapping[str, Any], about: Sequence[Mapping[str, Any]]) -> str:
    """As the database rates it, else by its CVSS 3 score."""
    if str(detail["id"]).startswith("MAL-"):
        return "critical"  # the package itself is malicious; OSV rates none of these
    rated = str((detail.get("database_specific") or {}).get("severity") or "").casefold()
    if rated in _NAMES:
        return _NAMES[rated]
    scores = [
        base_score(str(one.get("score", "")))
        for holder in (detail, *about)
        for one in holder.get("severity") or ()
    ]
    known = [score for score in scores if score is not None]
    return severity_of(max(known)) if known else "unrated"


def _merged(found: Iterable[Advisory]) -> list[Advisory]:
    """One vulnerability under several ids (GHSA, PYSEC, CVE) counts once, as its worst rating."""
    groups: list[Advisory] = []
    for one in found:
        for at, other in enumerate(groups):
            if other.package == one.package and set(other.ids) & set(one.ids):
                worse = max(one, other, key=lambda each: SEVERITIES.index(each.severity))
                groups[at] = Advisory(
                    package=one.package,
                    ids=tuple(dict.fromkeys((*other.ids, *one.ids))),
                    severity=worse.severity,
                    summary=worse.summary or one.summary or other.summary,
                    fixed=worse.fixed or one.fixed or other.fixed,
                )
                break
        else:
            groups.append(one)
    return groups
