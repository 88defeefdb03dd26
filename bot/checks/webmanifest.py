"""Web app manifests: what a browser demands before it offers to install an app."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from bot.checks import images
from bot.checks.crawling import Fetched, Page, Role, fetch
from bot.checks.kind import CheckTrouble, Context

#: Display modes an app can be installed with (Chrome's installability criteria).
INSTALLABLE = frozenset({"standalone", "fullscreen", "minimal-ui", "window-controls-overlay", "tabbed"})
#: Icon sizes in pixels that Chrome demands.
ICON_SIZES = (192, 512)
_REGISTERS = re.compile(r"""serviceWorker\s*\.\s*register\(\s*["'`]([^"'`]+)["'`]""")


@dataclass(frozen=True, kw_only=True)
class Icon:
    """An icon as the manifest declares it."""

    url: str
    #: Pixels along its edge; 0 for `any`.
    sizes: tuple[int, ...]


def missing_fields(manifest: Mapping[str, Any]) -> list[str]:
    """What a manifest lacks among name, start_url, display and icons."""
    missing = []
    if not _text(manifest, "name") and not _text(manifest, "short_name"):
        missing.append("name")
    if not _text(manifest, "start_url"):
        missing.append("start_url")
    modes = {str(manifest.get("display") or "").casefold(), *map(str, _list(manifest, "display_override"))}
    if not modes & INSTALLABLE:
        missing.append("display")
    if not _list(manifest, "icons"):
        missing.append("icons")
    return missing


def icons_of(manifest: Mapping[str, Any], url: str) -> list[Icon]:
    """The icons that a browser may use for installing: `purpose` any, with the sizes they declare."""
    found = []
    for entry in _list(manifest, "icons"):
        if not isinstance(entry, Mapping) or not _text(entry, "src"):
            continue
        purposes = str(entry.get("purpose") or "any").casefold().split()
        if "any" not in purposes:
            continue  # a maskable icon alone does not make an app installable
        found.append(Icon(url=urljoin(url, _text(entry, "src")), sizes=_sizes(str(entry.get("sizes") or ""))))
    return found


def registered_workers(code: str) -> list[str]:
    """The service workers that a script registers, as written there."""
    return _REGISTERS.findall(code)


def read_manifest(came: Fetched) -> tuple[Mapping[str, Any], str]:
    """A manifest, and what is wrong with it as a file; empty where it can be read."""
    if not came.ok:
        return {}, f"the manifest {came.trouble}"
    try:
        read = json.loads(came.body)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}, "the manifest is no JSON"
    return (read, "") if isinstance(read, dict) else ({}, "the manifest is no JSON object")


def edge_of(one: Fetched) -> int:
    """Pixels along an icon's shorter edge; 0 for what is no image. A drawing has every size."""
    size = images.dimensions(one.body)
    return min(size) if size else max(ICON_SIZES) if images.is_svg(one.body) else 0


async def find_service_worker(page: Page, path: str, context: Context) -> str:
    """The path of a service worker that really comes as JavaScript; empty where there is none."""
    if path:
        candidates = [path]
    else:
        scripts = (await fetch(page.of(Role.SCRIPT), context)).came
        code = [*page.inline_scripts, *(one.body.decode("utf-8", "replace") for one in scripts)]
        if not any("serviceWorker" in text for text in code):
            return ""
        named = [found for text in code for found in registered_workers(text)]
        candidates = [*named, "/sw.js", "/service-worker.js", "/serviceworker.js", "/ngsw-worker.js"]
    for candidate in dict.fromkeys(candidates):
        try:
            answer = await context.web.request("GET", urljoin(page.url, candidate))
        except CheckTrouble:
            continue
        if answer.status == 200 and "javascript" in answer.headers.get("content-type", "").casefold():
            return candidate
    return ""


def _sizes(value: str) -> tuple[int, ...]:
    found = []
    for part in value.casefold().split():
        width, x, height = part.partition("x")
        if part == "any":
            found.append(0)
        elif x and width.isdecimal() and height.isdecimal():
            found.append(min(int(width), int(height)))
    return tuple(found)


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value.strip() if isinstance(value, str) else ""


def _list(data: Mapping[str, Any], name: str) -> list[Any]:
    value = data.get(name)
    return value if isinstance(value, list) else []
