"""The kind `browser.vitals`: known pages in a real Chromium."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bot.checks.catalogue import Catalogue
from bot.checks.engine import Engine
from bot.checks.kind import Context
from bot.checks.processes import LocalProcesses
from bot.domain.check import Binding, CheckSpec, Evidence, ItemResult, Outcome
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.servers.site import Site, serve_site

#: Keeps the main thread busy for this long, once the page has been painted.
BUSY = "setTimeout(() => { const end = performance.now() + %d; while (performance.now() < end); }, %d)"
#: Pushes a paragraph of the full width down by 200 pixels.
SHIFT = "setTimeout(() => document.body.prepend(Object.assign(document.createElement('div'), {style: 'height:200px'})), 600)"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serve_site() as site:
        yield site


async def measure(url: str, metric: str, context: Context | None = None, **more: object) -> Evidence:
    rules = {name: more.pop(name) for name in ("fail", "warn", "expect") if name in more}
    params = {"url": url, "metric": metric, "runs": 1, "tool": "collector", "settle": "8s", **more}
    return await examine("browser.vitals", params, context=context, **rules)  # type: ignore[arg-type]


async def test_a_light_page_passes_with_all_six_metrics(site: Site) -> None:
    seen = await measure(site.page("<h1>Shop</h1>"), "lcp")
    assert seen.outcome is Outcome.PASS
    assert {"ttfb_ms", "fcp_ms", "lcp_ms", "tti_ms", "tbt_ms", "cls"} <= set(seen.values)
    assert seen.values["cls"] == 0
    assert "desktop, collector, median of 1" in seen.observed


async def test_a_script_that_blocks_for_a_second_fails_on_blocking_time(site: Site) -> None:
    seen = await measure(site.page(f"<h1>Shop</h1><script>{BUSY % (1000, 500)}</script>"), "tbt")
    assert seen.outcome is Outcome.FAIL
    assert seen.values["tbt_ms"] >= 900
    assert seen.values["tti_ms"] >= 1500


async def test_a_script_that_blocks_for_a_third_of_a_second_warns(site: Site) -> None:
    url = site.page(f"<h1>Shop</h1><script>{BUSY % (350, 500)}</script>")
    seen = await measure(url, "tbt", fail={"tbt_ms": "> 60000"})
    assert seen.outcome is Outcome.WARN


async def test_content_that_jumps_down_counts_as_a_shift(site: Site) -> None:
    page = f"<style>body{{margin:0}}p{{height:360px;margin:0}}</style><p>text</p><script>{SHIFT}</script>"
    seen = await measure(site.page(page), "cls")
    # It covers (360 + 200) of 720 pixels and moves by 200 of 1280: the larger side counts (web.dev/articles/cls).
    assert seen.values["cls"] == pytest.approx(560 / 720 * 200 / 1280, abs=0.01)
    assert seen.outcome is Outcome.WARN


async def test_a_late_picture_is_the_largest_paint(site: Site) -> None:
    # Chromium leaves flat pictures out of the largest paint (less than 0.05 bits a pixel): this one is noise.
    picture = io.BytesIO()
    Image.effect_noise((800, 500), 60).save(picture, "JPEG")
    site.put("/hero.jpg", picture.getvalue(), delay=0.8)
    url = site.page("<h1>Shop</h1><img class=hero src=/hero.jpg>")
    seen = await measure(url, "lcp", fail={"lcp_ms": "> 800"})
    assert seen.outcome is Outcome.FAIL
    assert seen.values["fcp_ms"] < seen.values["lcp_ms"]
    assert "largest paint img.hero" in seen.excerpt


async def test_a_slow_server_shows_in_the_time_to_the_first_byte(site: Site) -> None:
    seen = await measure(site.page("<h1>Shop</h1>", delay=2.0), "ttfb")
    assert seen.outcome is Outcome.FAIL


async def test_the_mobile_preset_multiplies_and_says_so(site: Site) -> None:
    seen = await measure(site.page("<h1>Shop</h1>"), "fcp", preset="mobile", fail={"fcp_ms": "< 562"})
    assert seen.outcome is Outcome.PASS
    assert seen.values["preset"] == "mobile"
    assert "processor 4x slower" in seen.excerpt


async def test_a_fast_error_page_fails(site: Site) -> None:
    seen = await measure(site.page("<h1>Sorry</h1>", status=500), "lcp")
    assert seen.outcome is Outcome.FAIL
    assert "answers 500" in seen.reason


async def test_a_page_that_leads_elsewhere_warns(site: Site) -> None:
    site.page("<h1>Log in</h1>", path="/login")
    url = site.page("", path="/orders", status=302, headers={"Location": "/login"})
    seen = await measure(url, "lcp")
    assert seen.outcome is Outcome.WARN
    assert "ended at" in seen.observed


async def test_a_page_that_a_script_leads_elsewhere_warns(site: Site) -> None:
    site.page("<h1>Log in</h1>", path="/login")
    seen = await measure(site.page("<script>location.replace('/login')</script>", path="/orders"), "lcp")
    assert seen.outcome is Outcome.WARN


async def test_a_blank_page_is_unknown_not_fast(site: Site) -> None:
    seen = await measure(site.page("<div id=root></div>"), "lcp", settle="6s")
    assert seen.outcome is Outcome.UNKNOWN
    assert "blank" in seen.reason


async def test_a_page_that_never_comes_to_rest_has_no_time_to_interactive(site: Site) -> None:
    busy = "setInterval(() => { const end = performance.now() + 90; while (performance.now() < end); }, 700)"
    seen = await measure(site.page(f"<h1>Shop</h1><script>{busy}</script>"), "tti", settle="6s")
    assert seen.outcome is Outcome.UNKNOWN
    assert "tti_ms" not in seen.values
    assert seen.values["tbt_ms"] > 0


async def test_a_page_where_nothing_listens_fails(site: Site) -> None:
    seen = await measure(f"http://127.0.0.1:{free_port()}/", "lcp")
    assert seen.outcome is Outcome.FAIL
    assert "nothing listens there" in seen.reason


async def test_a_page_that_leads_to_a_host_not_allowed_is_an_error(site: Site) -> None:
    async with serve_site() as secret:
        url = site.page("", status=302, headers={"Location": f"{secret.url}/"})
        only = make_context(allow=[site.url.removeprefix("http://")])
        seen = await measure(url, "lcp", context=only)
        assert seen.outcome is Outcome.ERROR
        assert secret.url.removeprefix("http://") in seen.reason
        assert not secret.hits


async def test_a_host_that_is_not_allowed_is_an_error_and_is_not_contacted(site: Site) -> None:
    seen = await measure(site.page("<h1>Shop</h1>"), "lcp", context=make_context(allow=["shop.example"]))
    assert seen.outcome is Outcome.ERROR
    assert not site.hits


async def test_a_page_reaches_no_host_that_is_not_allowed(site: Site) -> None:
    async with serve_site() as secret:
        secret.put("/metadata", "secret")
        tries = (
            f"<img src={secret.url}/image><iframe src={secret.url}/frame></iframe>"
            f"<link rel=preload as=fetch href={secret.url}/preload><script src={secret.url}/script></script>"
            f"<script>fetch('{secret.url}/metadata').catch(() => 0);"
            f"new WebSocket('{secret.url.replace('http', 'ws')}/socket');"
            f"navigator.sendBeacon('{secret.url}/beacon');"
            f"new Worker(URL.createObjectURL(new Blob([`fetch('{secret.url}/worker')`])))</script>"
        )
        only = make_context(allow=[site.url.removeprefix("http://")])
        seen = await measure(site.page(f"<h1>Shop</h1>{tries}"), "lcp", context=only)
        assert not secret.hits
        assert seen.values["refused_hosts"] == 1
        assert secret.url.removeprefix("http://") in seen.excerpt


async def test_an_allowed_second_host_is_reached_by_its_name(site: Site) -> None:
    async with serve_site() as other:
        other.put("/part.js", "document.body.append('more')")
        host = other.url.replace("127.0.0.1", "localhost")
        seen = await measure(site.page(f"<h1>Shop</h1><script src={host}/part.js></script>"), "lcp")
        assert seen.outcome is Outcome.PASS
        assert other.hits["/part.js"] == 1


async def test_six_metrics_of_one_page_cost_one_visit(site: Site) -> None:
    url = site.page("<h1>Shop</h1>")
    kind = Catalogue().get("browser.vitals")
    assert kind is not None
    bindings = [
        Binding(
            key=metric,
            text=metric,
            checks=(
                CheckSpec(
                    kind="browser.vitals",
                    params=kind.params.model_validate(
                        {"url": url, "metric": metric, "runs": 1, "tool": "collector"}
                    ),
                ),
            ),
        )
        for metric in ("ttfb", "fcp", "lcp", "tti", "tbt", "cls")
    ]
    results: list[ItemResult] = []

    async def keep(result: ItemResult) -> None:
        results.append(result)

    await Engine(Catalogue()).run(bindings, make_context(), on_result=keep)
    assert site.hits["/"] == 1
    assert [result.outcome for result in results] == [Outcome.PASS] * 6
    assert len({result.evidence[0].expected for result in results}) == 6


class NoPrograms(LocalProcesses):
    """A machine where nothing is installed."""

    def find(self, program: str) -> str | None:
        """Nothing."""
        return None


async def test_without_chromium_it_is_an_error_that_says_what_to_install(site: Site) -> None:
    bare = replace(make_context(), processes=NoPrograms())
    seen = await measure(site.page("<h1>Shop</h1>"), "lcp", context=bare)
    assert seen.outcome is Outcome.ERROR
    assert "apt-get install chromium" in seen.reason


async def test_lighthouse_asked_for_and_missing_is_an_error(site: Site) -> None:
    bare = replace(make_context(), processes=NoPrograms())
    seen = await measure(site.page("<h1>Shop</h1>"), "lcp", context=bare, tool="lighthouse")
    assert seen.outcome is Outcome.ERROR
    assert "npm install -g lighthouse" in seen.reason


def program_that_touches(path: Path) -> Path:
    """A program called lighthouse that leaves a file behind."""
    program = path.parent / "lighthouse"
    program.write_text(f"#!/bin/sh\ntouch {path}\n")
    program.chmod(0o755)
    return program


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_lighthouse_that_is_not_on_the_list_of_commands_is_not_run(
    site: Site, tmp_path: Path
) -> None:
    program = program_that_touches(tmp_path / "ran")
    seen = await measure(site.page("<h1>Shop</h1>"), "lcp", tool="lighthouse", lighthouse=str(program))
    assert seen.outcome is Outcome.ERROR
    assert names_in(tmp_path) == ["lighthouse"]


@pytest.mark.skipif("LIGHTHOUSE" not in os.environ, reason="set LIGHTHOUSE to the path of lighthouse")
async def test_lighthouse_and_the_collector_agree_on_a_blocking_script(site: Site) -> None:
    program = os.environ["LIGHTHOUSE"]
    url = site.page(f"<h1>Shop</h1><script>{BUSY % (400, 500)}</script>")
    context = make_context(commands=[program])
    theirs = await measure(url, "tbt", context=context, tool="lighthouse", lighthouse=program)
    ours = await measure(url, "tbt")
    assert theirs.values["tool"].startswith("lighthouse 1")
    assert ours.values["tbt_ms"] == pytest.approx(theirs.values["tbt_ms"], rel=0.35)


# ── nothing is left behind ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, in which profiles are easy to count; its path is short, as sockets need."""
    with tempfile.TemporaryDirectory(prefix="db-") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder)


def processes_naming(path: Path) -> list[str]:
    """The command lines of running processes that name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        if str(path).encode() in command and int(entry.parent.name) != os.getpid():
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def left_behind(path: Path) -> list[str]:
    """Processes that still name a folder after a while, and what is still in it."""
    deadline = time.monotonic() + 20
    while (left := processes_naming(path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left or [entry.name for entry in path.glob("deploybot-*")]


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something another task or process does."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - nobody could ring a bell
            await asyncio.sleep(0.05)


async def test_a_check_leaves_no_process_and_no_profile(site: Site, temporary: Path) -> None:
    assert (await measure(site.page("<h1>Shop</h1>"), "lcp")).outcome is Outcome.PASS
    assert await asyncio.to_thread(left_behind, temporary) == []


async def test_a_check_that_is_stopped_leaves_no_process_and_no_profile(site: Site, temporary: Path) -> None:
    task = asyncio.create_task(measure(site.page("<h1>Shop</h1>", delay=60), "lcp"))
    await until(lambda: bool(site.hits))
    assert processes_naming(temporary)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.to_thread(left_behind, temporary) == []


def test_a_bot_that_is_killed_takes_its_browser_along(temporary: Path) -> None:
    code = (
        "import asyncio, tempfile\n"
        f"tempfile.tempdir = {str(temporary)!r}\n"
        "from bot.checks.chromium import start_chromium\n"
        "from tests.checking import make_context\n"
        "async def main():\n"
        "    async with start_chromium(make_context()):\n"
        "        print('ready', flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as bot:
        assert bot.stdout is not None
        assert bot.stdout.readline() == b"ready\n"
        assert processes_naming(temporary / "deploybot-chromium-")
        bot.kill()
    profiles = [f"{profile.name}" for profile in temporary.glob("deploybot-*")]
    assert left_behind(temporary) == profiles  # its folder is all that is left: nobody was there to remove it
