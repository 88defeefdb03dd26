"""Whether search engines can find pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urljoin

from pydantic import Field

from bot.checks import seo
from bot.checks.crawling import path_of, visit
from bot.checks.kind import Context, Kind
from bot.checks.kinds.page.base import PageParams
from bot.domain.check import Observation, Rules


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


def _said(sitemap: bool | None) -> str:
    return "on a host that is not allowed" if sitemap is None else "found" if sitemap else "missing"
