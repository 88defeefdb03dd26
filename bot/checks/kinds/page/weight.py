"""How much a page makes people load: text files, images, JavaScript."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import urljoin, urlsplit

from pydantic import Field

from bot.checks import assets, images
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
from bot.checks.kind import Context, Kind, NoData
from bot.checks.kinds.page.base import BROKEN, LEFT_OUT, PageParams
from bot.domain.check import Observation, Rules


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
            fail={"largest_uncompressed_bytes": "> 10000", **BROKEN},
            warn={"unminified": "> 0", **LEFT_OUT},
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
            fail={"largest_bytes": "> 1000000", "largest_saving_share": "> 0.6", **BROKEN},
            warn={"largest_saving_share": "> 0.25", "oversized": "> 0", **LEFT_OUT},
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
                **BROKEN,
            },
            warn={**growth, **LEFT_OUT},
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
