"""Pages that are applications: how their JavaScript is split, and whether they can be installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from bot.checks import assets, builds, webmanifest
from bot.checks.crawling import FETCH_VALUES, Reference, Role, fetch, path_of, visit
from bot.checks.kind import Context, Kind, NoData, Refused
from bot.checks.kinds.page.base import BROKEN, LEFT_OUT, PageParams
from bot.domain.check import Observation, Rules


class ChunksParams(PageParams):
    """Which build."""

    manifest: str = Field(
        default="",
        description="The build's manifest: an address, a path of the site, or a file (file:dist/…).",
    )
    base: str = Field(default="", description="Where the manifest's files are; else next to the manifest.")
    from_kb: float = Field(
        default=100, ge=0, description="Below so much JavaScript in all, in kB, nothing has to be split."
    )


class Chunks(Kind[ChunksParams]):
    """Whether the JavaScript of an application is split (catalogue D4)."""

    name = "page.chunks"
    about = "Share of the largest JavaScript file, by the build's manifest or the page."
    params = ChunksParams
    timeout = 30.0
    values: ClassVar[Mapping[str, str]] = {
        "js_files": "JavaScript files",
        "js_bytes": "bytes of JavaScript before compression",
        "largest_share": "share of the largest file (0 to 1)",
        "undivided_share": "the same, 0 where there is less JavaScript than `from_kb`",
        "initial_share": "share of what the first page loads (0 to 1); absent where unknown",
        **FETCH_VALUES,
    }

    def defaults(self, params: ChunksParams) -> Rules:
        """Catalogue D4."""
        return Rules(fail={"undivided_share": "> 0.8", **BROKEN}, warn=LEFT_OUT)

    async def observe(self, params: ChunksParams, context: Context) -> Observation:
        """Weigh the files of the manifest, or those the page names and what they import."""
        if params.manifest:
            found, fetches = await builds.by_manifest(params.url, params.manifest, params.base, context)
        else:
            found, fetches = await builds.by_page(params.url, context)
        sizes = {bundle.name: bundle.size or 0 for bundle in found}
        total = sum(sizes.values())
        if not total:
            raise NoData(f"no JavaScript of {params.url} could be weighed{fetches.remark()}")
        largest = max(sizes.values()) / total
        known = [bundle for bundle in found if bundle.initial is not None]
        first = sum(sizes[bundle.name] for bundle in known if bundle.initial) / total if known else None
        lines = [
            f"{assets.kilobytes(sizes[b.name]):>9} {'first' if b.initial else '':<6}{b.name}"
            for b in sorted(found, key=lambda bundle: -sizes[bundle.name])
        ]
        return Observation(
            target=params.manifest or params.url,
            values={
                "js_files": len(found),
                "js_bytes": total,
                "largest_share": round(largest, 3),
                "undivided_share": round(largest, 3) if total >= params.from_kb * 1000 else 0.0,
                "initial_share": None if first is None else round(first, 3),
                **fetches.values(),
            },
            summary=f"{len(found)} JavaScript files, {assets.kilobytes(total)},"
            f" the largest holds {largest:.0%}"
            + ("" if first is None else f", {first:.0%} are loaded first")
            + fetches.remark(),
            excerpt="\n".join([*fetches.remarks(), *lines]),
        )


class PwaParams(PageParams):
    """Where the parts of the app are."""

    service_worker: str = Field(default="", description="Path of the service worker; else it is looked for.")


class Pwa(Kind[PwaParams]):
    """Whether a page can be installed as an app (catalogue D6)."""

    name = "page.pwa"
    about = "Web app manifest, icons that really come, and service worker."
    params = PwaParams
    timeout = 30.0
    values: ClassVar[Mapping[str, str]] = {
        "manifest": "address of the manifest; absent where the page names none or it cannot be read",
        "missing": "what the manifest lacks among name, start_url, display and icons, in a list",
        "missing_count": "how many of these",
        "icon_192": "whether an icon of 192 pixels or more came and is that large",
        "icon_512": "whether an icon of 512 pixels or more came and is that large",
        "service_worker": "whether there is a service worker",
    }

    def defaults(self, params: PwaParams) -> Rules:
        """Catalogue D6."""
        return Rules(
            fail={"manifest": None, "missing_count": "> 0", "icon_192": False, "icon_512": False},
            warn={"service_worker": False},
        )

    async def observe(self, params: PwaParams, context: Context) -> Observation:
        """Fetch the manifest, its icons and the service worker."""
        page = await visit(params.url, context)
        named = page.of(Role.MANIFEST)
        manifest: Mapping[str, object] = {}
        trouble = "the page names no manifest"
        if named:
            came = (await fetch(named[:1], context)).all[0]
            if came.left_out:
                raise Refused(came.trouble)
            manifest, trouble = webmanifest.read_manifest(came)
        readable = not trouble
        missing = webmanifest.missing_fields(manifest) if readable else ["manifest"]
        icons = webmanifest.icons_of(manifest, named[0].url) if readable else []
        fetched = await fetch([Reference(url=icon.url, role=Role.IMAGE) for icon in icons], context)
        edges: list[int] = []
        lines = [f"manifest  {trouble or path_of(named[0].url, page.url)}"]
        for one in fetched.all:
            edge = webmanifest.edge_of(one)
            edges += [edge] if edge else []
            said = f"{edge} pixels" if edge else one.trouble or "is no image"
            lines.append(f"icon      {path_of(one.name, page.url)}: {said}")
        worker = await webmanifest.find_service_worker(page, params.service_worker, context)
        lines.append(f"worker    {worker or 'none found'}")
        return Observation(
            target=params.url,
            values={
                "manifest": named[0].url if readable else None,
                "missing": missing,
                "missing_count": len(missing),
                **{f"icon_{size}": any(edge >= size for edge in edges) for size in webmanifest.ICON_SIZES},
                "service_worker": bool(worker),
            },
            summary=trouble
            or f"manifest {'lacks ' + ', '.join(missing) if missing else 'complete'},"
            f" largest icon {max(edges, default=0)} pixels, service worker {worker or 'none'}",
            excerpt="\n".join(lines),
        )
