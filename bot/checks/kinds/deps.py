"""Known vulnerabilities of what is deployed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from bot.checks import lockfiles
from bot.checks.cvss import SEVERITIES
from bot.checks.kind import Context, Kind, NoData, Params
from bot.checks.lockfiles import Locked
from bot.checks.osv import advisories
from bot.checks.source import Source
from bot.domain.check import Observation, Rules


class DepsParams(Params):
    """Lock files, and what counts."""

    lockfiles: list[str] = Field(
        min_length=1,
        description="uv.lock, poetry.lock, requirements.txt or package-lock.json under the root.",
    )
    severity: Literal["low", "medium", "high", "critical"] = Field(
        "high", description="Severity from which a vulnerability counts."
    )
    ignore: list[str] = Field(default=[], description="Ids of advisories that were looked at and accepted.")
    dev: bool = Field(False, description="Whether packages count that only development needs.")
    url: str = Field("https://api.osv.dev", description="Base URL of OSV's API, or of a mirror of it.")


class Deps(Kind[DepsParams]):
    """Whether a known vulnerability of some severity is in the locked packages, by OSV.dev."""

    name = "deps"
    about = "No known vulnerability of high or critical severity in the locked packages (OSV.dev)."
    params = DepsParams
    values: ClassVar[Mapping[str, str]] = {
        "vulnerable": "advisories at or above the severity",
        "below": "advisories below it",
        "unrated": "advisories that nobody rates",
        "worst": "severity of the worst advisory: none < unrated < low < medium < high < critical",
        "ids": "ids of the advisories that count",
        "packages": "packages judged",
    }
    scales: ClassVar[Mapping[str, Sequence[str]]] = {"worst": SEVERITIES}
    indirect = True
    timeout = 60.0

    def defaults(self, params: DepsParams) -> Rules:
        """Catalogue T4: an advisory of the severity fails; one that nobody rates deserves a look."""
        return Rules(must={"vulnerable": 0}, warn={"unrated": "> 0"})

    async def observe(self, params: DepsParams, context: Context) -> Observation:
        """Ask OSV about every package.

        Raises NoData where a lock file is missing, empty or unreadable, OSV answers in part, or nothing was
        found but some entries could not be judged.
        """
        locked, digest = Locked(), hashlib.sha256()
        for name in params.lockfiles:
            try:
                text = context.path(name).read_text("utf-8")
                one = lockfiles.read(name, text, dev=params.dev)
            except OSError as error:
                raise NoData(f"{name} cannot be read: {error.strerror}") from error
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise NoData(f"{name} cannot be used as a lock file: {error}") from error
            digest.update(text.encode())
            locked.packages |= one.packages
            locked.unjudged += one.unjudged
        found = await advisories(Source(context.web, "OSV", params.url), locked.packages)
        counted = [one for one in found if not set(one.ids) & set(params.ignore)]
        floor = SEVERITIES.index(params.severity)
        serious = [one for one in counted if SEVERITIES.index(one.severity) >= floor]
        if locked.unjudged and not serious:
            raise NoData(
                f"{len(locked.unjudged)} entries have no version that could be judged:"
                f" {', '.join(locked.unjudged[:3])}; pin them"
            )
        unrated = sum(one.severity == "unrated" for one in counted)
        rows = [
            f"{one.severity:<9}{one.package.name} {one.package.version}  {one.id}"
            f"  {f'fixed in {one.fixed}' if one.fixed else 'no fix'}  {one.summary[:80]}".rstrip()
            for one in counted[:30]
        ]
        values: dict[str, Any] = {
            "vulnerable": len(serious),
            "below": len(counted) - len(serious) - unrated,
            "unrated": unrated,
            "worst": max((one.severity for one in counted), key=SEVERITIES.index, default="none"),
            "ids": [one.id for one in serious],
            "packages": len(locked.packages),
        }
        accepted = f", {len(found) - len(counted)} accepted" if len(found) > len(counted) else ""
        return Observation(
            values=values,
            target=", ".join(params.lockfiles),
            summary=f"{len(serious)} advisories of {params.severity} severity or worse and"
            f" {len(counted) - len(serious)} others in {len(locked.packages)} packages{accepted}",
            excerpt="\n".join(rows),
            facts={"lockfiles": f"sha256:{digest.hexdigest()}"},
        )


KINDS = (Deps(),)
