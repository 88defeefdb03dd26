"""The JavaScript of a build, weighed: by its manifest on the site or on the disk, or by what a page shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urljoin

from bot.checks import bundles
from bot.checks.crawling import Fetches, Reference, Role, demand_some, fetch, path_of, visit
from bot.checks.kind import Broken, Context, NoData


async def by_manifest(
    url: str, manifest: str, base: str, context: Context
) -> tuple[list[bundles.Bundle], Fetches]:
    """The files of the build's manifest, weighed on the disk or on the site."""
    local = manifest.startswith("file:")
    if local:
        path = context.path(manifest.removeprefix("file:"))
        if not path.is_file():
            raise Broken(f"there is no {manifest.removeprefix('file:')}")
        text, where = path.read_bytes(), manifest
    else:
        where = urljoin(url, manifest)
        answer = await context.web.request("GET", where, max_bytes=8_000_000)
        if answer.status != 200:
            raise NoData(f"the manifest {where} answers {answer.status}")
        text = answer.body
    try:
        found = bundles.read_manifest(json.loads(text))
    except (bundles.NoManifest, json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise Broken(f"{where} is no manifest of a build: {error}") from error
    if all(bundle.size is not None for bundle in found):
        return list(found), Fetches(all=())
    if local:
        return _on_disk(found, _folder(base, path, context)), Fetches(all=())
    root = urljoin(url, base) if base else urljoin(where.replace("/.vite/", "/"), ".")
    urls = {urljoin(root, bundle.name): bundle for bundle in found}
    fetches = await fetch([Reference(url=url, role=Role.SCRIPT) for url in urls], context)
    weighed = [
        bundles.Bundle(name=one.name, initial=urls[one.reference.url].initial, size=len(one.body))
        for one in fetches.came
    ]
    return weighed, fetches


async def by_page(url: str, context: Context) -> tuple[list[bundles.Bundle], Fetches]:
    """The scripts of the page and the chunks they name."""
    page = await visit(url, context)
    fetches = await fetch(page.of(Role.SCRIPT), context)
    demand_some(page, fetches)
    first = {one.reference.url for one in fetches.all}
    waiting, done = list(fetches.came), set(first)
    while waiting:
        named = {
            urljoin(one.reference.url, path) if path[:1] in "./" else urljoin(page.url, f"/{path}")
            for one in waiting
            for path in bundles.imports_of(one.body.decode("utf-8", "replace"))
        }
        fresh = await fetch([Reference(url=url, role=Role.SCRIPT) for url in sorted(named - done)], context)
        done |= named
        waiting = list(fresh.came)
        # A path that is guessed from code may lead nowhere: only what came counts.
        fetches = Fetches(all=fetches.all + fresh.came + fresh.left_out)
    if not fetches.all:
        raise NoData(f"{url} names no script; give the build's manifest")
    if len(fetches.came) == len(first) and any(
        bundles.hides_its_chunks(one.body.decode("utf-8", "replace")) for one in fetches.came
    ):
        raise NoData(f"{url}: the chunks of this build cannot be read from its scripts; give `manifest`")
    found = [
        bundles.Bundle(
            name=path_of(one.name, page.url), initial=one.reference.url in first, size=len(one.body)
        )
        for one in fetches.came
    ]
    return found, fetches


def _folder(base: str, manifest: Path, context: Context) -> Path:
    if base:
        return context.path(base)
    return manifest.parent.parent if manifest.parent.name == ".vite" else manifest.parent


def _on_disk(found: Sequence[bundles.Bundle], folder: Path) -> list[bundles.Bundle]:
    weighed = []
    for bundle in found:
        path = (folder / bundle.name.lstrip("/")).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise NoData(f"the manifest names {bundle.name}, which is not in {folder.name}; set `base`")
        weighed.append(bundles.Bundle(name=bundle.name, initial=bundle.initial, size=path.stat().st_size))
    return weighed
