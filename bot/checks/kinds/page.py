"""A page and its files as the server sends them: no browser, one visit, a bounded number of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import urljoin, urlsplit

from pydantic import Field

from bot.checks import assets, builds, images, seo, webmanifest
from bot.checks.crawling import (
    FETCH_VALUES,
    Fetched,
    Fetches,
    Page,
    Reference,
    Role,
    css_images,
    demand_some,
    fetch,
    fetch_styles,
    path_of,
    visit,
)
from bot.checks.kind import Context, Kind, NoData, Params, Refused
from bot.domain.check import Observation, Rules

#: Files that do not come leave what is said about the others true, but the page incomplete.
_BROKEN = {"broken_files": "> 0"}
_LEFT_OUT = {"files_left_out": "> 0"}


class PageParams(Params):
    """Which page."""

    url: str = Field(
        description="Address of the page; it must answer 200 itself, redirects are not followed."
    )


class SeoParams(PageParams):
    """Which pages, and what they may point to."""

    also: list[str] = Field(default=[], max_length=20, description="More pages, as paths or addresses.")
    canonical_host: str = Field(
        default="", description="Host canonical links must name; else the page's own."
    )


class Seo(Kind[SeoParams]):
    """Whether search engines can find pages and show them well (catalogue D9)."""

    name = "page.seo"
    about = "Title, description, robots, canonical address, Open Graph and sitemap of pages."
    params = SeoParams
    timeout = 30.0
    values: ClassVar[Mapping[str, str]] = {
        "pages": "pages looked at",
        "untitled": "pages without a title",
        "undescribed": "pages without a meta description",
        "noindex": "pages that forbid being indexed (meta robots or X-Robots-Tag)",
        "foreign_canonical": "pages whose canonical address is on another host",
        "without_open_graph": "pages that lack og:title, og:type, og:image or og:url",
        "robots_txt": "whether there is a robots.txt",
        "robots_forbids_all": "whether robots.txt keeps robots out of the whole site",
        "sitemap": "whether there is a sitemap; absent where it is on a host that is not allowed",
        "title": "title of the first page",
    }

    def defaults(self, params: SeoParams) -> Rules:
        """Catalogue D9."""
        return Rules(
            fail={
                "untitled": "> 0",
                "undescribed": "> 0",
                "noindex": "> 0",
                "foreign_canonical": "> 0",
                "robots_forbids_all": True,
            },
            warn={"without_open_graph": "> 0", "robots_txt": False, "sitemap": False},
        )

    async def observe(self, params: SeoParams, context: Context) -> Observation:
        """Visit each page, and robots.txt and the sitemap once."""
        urls = dict.fromkeys([params.url, *(urljoin(params.url, path) for path in params.also)])
        read: dict[str, seo.Tags] = {}
        for url in urls:
            page = await visit(url, context)
            read[url] = seo.read_tags(page.tree, page.url, page.answer.headers)
        robots, sitemap = await seo.robots_and_sitemap(params.url, context)
        foreign = {
            url: tags.canonical
            for url, tags in read.items()
            if tags.canonical and seo.host_of(tags.canonical) != (params.canonical_host or seo.host_of(url))
        }
        first = next(iter(read.values()))
        lines = [f"robots.txt {'found' if robots is not None else 'missing'}, sitemap {_said(sitemap)}"]
        for url, tags in read.items():
            lines += [
                path_of(url, params.url),
                f"  title        {tags.title or '(none)'}",
                f"  description  {tags.description or '(none)'}",
                f"  canonical    {tags.canonical or '(none)'}",
            ]
            lines += [f"  noindex      by {tags.noindex}"] if tags.noindex else []
            lines += (
                [f"  missing      {', '.join(tags.missing_open_graph)}"] if tags.missing_open_graph else []
            )
        return Observation(
            target=params.url,
            values={
                "pages": len(read),
                "untitled": sum(not tags.title for tags in read.values()),
                "undescribed": sum(not tags.description for tags in read.values()),
                "noindex": sum(bool(tags.noindex) for tags in read.values()),
                "foreign_canonical": len(foreign),
                "without_open_graph": sum(bool(tags.missing_open_graph) for tags in read.values()),
                "robots_txt": robots is not None,
                "robots_forbids_all": robots is not None and seo.forbids_all(robots),
                "sitemap": sitemap,
                "title": first.title or None,
            },
            summary=f"{len(read)} page{'s' if len(read) > 1 else ''}, “{first.title}”, {lines[0]}",
            excerpt="\n".join(lines),
        )


class Assets(Kind[PageParams]):
    """Whether the text files of a page come compressed and minified (catalogue D1)."""

    name = "page.assets"
    about = "Compression and minification of a page's scripts, styles and other text files."
    params = PageParams
    timeout = 30.0
    values: ClassVar[Mapping[str, str]] = {
        "files": "text files looked at, the page itself included",
        "largest_uncompressed_bytes": "bytes of the largest text file sent without compression, else 0",
        "uncompressed": "text files sent without compression",
        "unminified": "scripts and styles that look as written by people",
        **FETCH_VALUES,
    }

    def defaults(self, params: PageParams) -> Rules:
        """Catalogue D1."""
        return Rules(
            fail={"largest_uncompressed_bytes": "> 10000", **_BROKEN},
            warn={"unminified": "> 0", **_LEFT_OUT},
        )

    async def observe(self, params: PageParams, context: Context) -> Observation:
        """Fetch the page and its text files."""
        page = await visit(params.url, context)
        styles = await fetch_styles(page, context)
        others = await fetch([*page.of(Role.SCRIPT, Role.FONT, Role.MANIFEST), *_drawings(page)], context)
        fetches = Fetches(all=styles.all + others.all)
        demand_some(page, fetches)
        itself = Fetched(reference=Reference(url=page.url, role=Role.SCRIPT), answer=page.answer)
        text = [
            one
            for one in (itself, *fetches.came)
            if one.answer is not None and assets.is_text(one.answer.headers.get("content-type", ""))
        ]
        plain = [one for one in text if not await _compressed(one, context)]
        unminified = [
            one
            for one in text
            if one is not itself
            and one.reference.role in (Role.SCRIPT, Role.STYLE)
            and assets.is_unminified(one.body.decode("utf-8", "replace"))
        ]
        largest = max((len(one.body) for one in plain), default=0)
        lines = []
        for one in sorted(text, key=lambda file: -len(file.body)):
            assert one.answer is not None
            notes = [one.answer.headers.get("content-encoding", "br") if one not in plain else "plain"]
            notes += ["unminified"] if one in unminified else []
            size = f"{assets.kilobytes(one.answer.wire_bytes):>9} of {assets.kilobytes(len(one.body)):>9}"
            lines.append(f"{size}  {', '.join(notes):<18} {path_of(one.name, page.url)}")
        return Observation(
            target=params.url,
            values={
                "files": len(text),
                "largest_uncompressed_bytes": largest,
                "uncompressed": len(plain),
                "unminified": len(unminified),
                **fetches.values(),
            },
            summary=f"{len(text)} text files, {len(plain)} uncompressed, {len(unminified)} not minified"
            + fetches.remark(),
            excerpt="\n".join([*fetches.remarks(), *lines]),
        )


class ImagesParams(PageParams):
    """Which images."""

    also: list[str] = Field(
        default=[], max_length=40, description="Images that scripts add: paths or addresses."
    )
    quality: int = Field(default=images.QUALITY, ge=30, le=95, description="WebP quality of the trial.")


class Images(Kind[ImagesParams]):
    """Whether the images of a page are as small as they can be (catalogue D2)."""

    name = "page.images"
    about = "Weight of a page's images, and what WebP would save."
    params = ImagesParams
    timeout = 60.0
    values: ClassVar[Mapping[str, str]] = {
        "images": "raster images looked at",
        "largest_bytes": "bytes of the largest image",
        "largest_saving_share": "share of its bytes (0 to 1) WebP saves on the image that gains most",
        "oversized": "images more than twice as wide as they are shown",
        "saving_bytes": "bytes WebP would save in all",
        **FETCH_VALUES,
    }

    def defaults(self, params: ImagesParams) -> Rules:
        """Catalogue D2."""
        return Rules(
            fail={"largest_bytes": "> 1000000", "largest_saving_share": "> 0.6", **_BROKEN},
            warn={"largest_saving_share": "> 0.25", "oversized": "> 0", **_LEFT_OUT},
        )

    async def observe(self, params: ImagesParams, context: Context) -> Observation:
        """Fetch the images of the page and of its styles, and encode each again."""
        page = await visit(params.url, context)
        styles = await fetch_styles(page, context)
        wanted = [
            *page.of(Role.IMAGE),
            *(Reference(url=urljoin(page.url, path), role=Role.IMAGE) for path in params.also),
            *(one for css in page.inline_styles for one in css_images(css, page.url)),
            *(
                one
                for style in styles.came
                for one in css_images(style.body.decode("utf-8", "replace"), style.reference.url)
            ),
        ]
        if not wanted:
            raise NoData(f"{params.url} names no image; list those that scripts add under `also`")
        fetches = await fetch(wanted, context)
        weighed: list[tuple[Fetched, images.Weighed]] = []
        for one in fetches.came:
            found = await asyncio.to_thread(images.weigh, one.body, quality=params.quality)
            if found is not None:
                weighed.append((one, found))
            elif not images.is_svg(one.body):
                fetches = fetches.spoilt(one, "is no image")
        if not weighed and not fetches.broken:
            raise NoData(f"{params.url} has no raster image that could be looked at{fetches.remark()}")
        oversized = [
            one
            for one, found in weighed
            if one.reference.shown_width and found.width > 2 * one.reference.shown_width
        ]
        savings = [found.now_bytes - found.webp_bytes for _, found in weighed if found.webp_bytes is not None]
        lines = []
        for one, found in sorted(weighed, key=lambda pair: -pair[1].now_bytes):
            trial = (
                f"WebP {assets.kilobytes(found.webp_bytes)}" if found.webp_bytes is not None else "not tried"
            )
            shown = f", shown {one.reference.shown_width} wide" if one in oversized else ""
            lines.append(
                f"{assets.kilobytes(found.now_bytes):>9} {found.format:<5} {trial:<14}"
                f" {found.width}x{found.height}{shown}  {path_of(one.name, page.url)}"
            )
        best = max((found.saving_share for _, found in weighed), default=0.0)
        return Observation(
            target=params.url,
            values={
                "images": len(weighed),
                "largest_bytes": max((found.now_bytes for _, found in weighed), default=0),
                "largest_saving_share": round(best, 3),
                "oversized": len(oversized),
                "saving_bytes": sum(saving for saving in savings if saving > 0),
                **fetches.values(),
            },
            summary=f"{len(weighed)} images, {assets.kilobytes(sum(w.now_bytes for _, w in weighed))};"
            f" WebP would save up to {best:.0%} of one" + fetches.remark(),
            excerpt="\n".join([*fetches.remarks(), *lines]),
        )


class BudgetParams(PageParams):
    """How much the first load may weigh."""

    js_kb: float = Field(default=300, gt=0, description="Budget for JavaScript in kB after gzip.")
    css_kb: float = Field(default=100, gt=0, description="Budget for CSS in kB after gzip.")
    baseline_js_bytes: int | None = Field(
        default=None, gt=0, description="JavaScript of the last release in bytes after gzip."
    )


class Budget(Kind[BudgetParams]):
    """How much JavaScript and CSS the first load of a page takes (catalogue D3).

    The default budgets are those of Addy Osmani's web quality skills: 300 kB and 100 kB compressed.
    """

    name = "page.budget"
    about = "Gzipped JavaScript and CSS of a page's first load against budgets."
    params = BudgetParams
    timeout = 30.0
    values: ClassVar[Mapping[str, str]] = {
        "js_gzip_bytes": "bytes of JavaScript after gzip, inline scripts included",
        "css_gzip_bytes": "bytes of CSS after gzip, inline styles included",
        "js_growth_share": "growth against the baseline (0.05 is 5 %); absent without one",
        **FETCH_VALUES,
    }

    def defaults(self, params: BudgetParams) -> Rules:
        """Catalogue D3: over budget fails, 5 % more than the last release warns."""
        growth = {"js_growth_share": "> 0.05"} if params.baseline_js_bytes else {}
        return Rules(
            fail={
                "js_gzip_bytes": f"> {params.js_kb * 1000:.0f}",
                "css_gzip_bytes": f"> {params.css_kb * 1000:.0f}",
                **_BROKEN,
            },
            warn={**growth, **_LEFT_OUT},
        )

    async def observe(self, params: BudgetParams, context: Context) -> Observation:
        """Fetch scripts and styles, and compress them."""
        page = await visit(params.url, context)
        styles = await fetch_styles(page, context)
        scripts = await fetch(page.of(Role.SCRIPT), context)
        fetches = Fetches(all=scripts.all + styles.all)
        demand_some(page, fetches)
        if not scripts.all and not page.inline_scripts:
            raise NoData(f"{params.url} loads no JavaScript: is it the right page?")
        files = [(one, assets.gzipped(one.body)) for one in fetches.came]
        js = sum(size for one, size in files if one.reference.role is Role.SCRIPT)
        js += sum(assets.gzipped(code.encode()) for code in page.inline_scripts)
        css = sum(size for one, size in files if one.reference.role is Role.STYLE)
        css += sum(assets.gzipped(code.encode()) for code in page.inline_styles)
        growth = js / params.baseline_js_bytes - 1 if params.baseline_js_bytes else None
        lines = [
            f"{assets.kilobytes(size):>9}  {path_of(one.name, page.url)}"
            for one, size in sorted(files, key=lambda pair: -pair[1])
        ]
        against = "" if growth is None else f" ({growth:+.1%} on the last release)"
        return Observation(
            target=params.url,
            values={
                "js_gzip_bytes": js,
                "css_gzip_bytes": css,
                "js_growth_share": None if growth is None else round(growth, 4),
                **fetches.values(),
            },
            summary=f"JavaScript {assets.kilobytes(js)} of {params.js_kb:g} kB{against},"
            f" CSS {assets.kilobytes(css)} of {params.css_kb:g} kB" + fetches.remark(),
            excerpt="\n".join([*fetches.remarks(), *lines]),
        )


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
        return Rules(fail={"undivided_share": "> 0.8", **_BROKEN}, warn=_LEFT_OUT)

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


def _drawings(page: Page) -> Sequence[Reference]:
    return [one for one in page.of(Role.IMAGE) if urlsplit(one.url).path.casefold().endswith(".svg")]


async def _compressed(one: Fetched, context: Context) -> bool:
    """Whether a file is sent compressed, to a client that knows Brotli and Zstandard too."""
    assert one.answer is not None
    if assets.is_compressed(one.answer.headers):
        return True
    again = await context.web.request(
        "GET", one.reference.url, headers={"Accept-Encoding": "br, zstd, gzip, deflate"}
    )
    return assets.is_compressed(again.headers)


def _said(sitemap: bool | None) -> str:
    return "on a host that is not allowed" if sitemap is None else "found" if sitemap else "missing"


KINDS = (Seo(), Assets(), Images(), Budget(), Chunks(), Pwa())
