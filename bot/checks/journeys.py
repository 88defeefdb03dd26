"""Plays a journey in Chromium with Playwright, one browser profile a try.

Appearances that must be quick are timed in the page, not from here: a busy machine must not make them late.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from bot.checks.chromium import Chromium
from bot.checks.gate import Gate
from bot.checks.kind import Broken
from bot.checks.steps import Step, Text, Visible, timed_selectors
from bot.domain.check import Secret

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Route

#: The viewport of a journey.
WIDTH, HEIGHT = 1280, 720
#: Seconds an element that must appear within a given time is waited for beyond it.
GRACE_S = 2.0

_TIME_APPEARANCES = """
(selectors => {
  const seen = {};
  let since = null;
  const shown = element => {
    const box = element && element.getBoundingClientRect();
    return Boolean(box && box.width && box.height && getComputedStyle(element).visibility !== "hidden");
  };
  const look = () => {
    for (const selector of selectors) {
      if (seen[selector] === undefined && shown(document.querySelector(selector)))
        seen[selector] = performance.now();
    }
  };
  const forget = () => { since = performance.now(); for (const key in seen) delete seen[key]; };
  addEventListener("click", forget, true);
  addEventListener("DOMContentLoaded", () => { since ??= performance.now(); });
  const watch = new MutationObserver(look);
  watch.observe(document, {subtree: true, childList: true, attributes: true});
  const frame = () => { look(); requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  Object.defineProperty(window, "__deploybotAppeared", {value: selector =>
    seen[selector] === undefined || since === null ? null : Math.max(0, seen[selector] - since)});
})
"""

#: Whether the page shows a letter, a picture or a drawing.
_SHOWS_SOMETHING = """
() => {
  if (!document.body) return false;
  if (document.body.innerText.trim()) return true;
  return [...document.querySelectorAll("img, svg, canvas, video, iframe, input, button")].some(element => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && (element.tagName !== "IMG" || element.naturalWidth > 0);
  });
}
"""

#: What is drawn: a canvas by its pixels (WebGL by copying it), an svg by shapes that take up room.
_IS_DRAWN = """
element => {
  if (element.tagName.toLowerCase() === "canvas") {
    if (!element.width || !element.height) return false;
    const copy = document.createElement("canvas");
    copy.width = element.width; copy.height = element.height;
    const pencil = copy.getContext("2d");
    pencil.drawImage(element, 0, 0);
    const pixels = new Uint32Array(pencil.getImageData(0, 0, copy.width, copy.height).data.buffer);
    return pixels.some(pixel => pixel !== pixels[0]);
  }
  const marks = "path, rect, circle, ellipse, line, polyline, polygon, text, image, use";
  return [...element.querySelectorAll(marks)].some(mark => {
    if (mark.closest("defs, clipPath, mask, .axis, [class*=axis], [class*=grid]")) return false;
    const box = mark.getBoundingClientRect();
    return box.width > 1 || box.height > 1;
  });
}
"""


@dataclass(kw_only=True)
class Played:
    """What came of one try."""

    #: (step, milliseconds) of those that went well.
    done: list[tuple[str, float]] = field(default_factory=list)
    #: The step that did not, counted from 1, and why; 0 where all went well.
    failed_step: int = 0
    why: str = ""
    #: Errors logged to the console, and exceptions nobody caught.
    console_errors: list[str] = field(default_factory=list)
    uncaught: list[str] = field(default_factory=list)
    #: Globs of blocked or delayed requests that no request matched.
    unused: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    ms: float = 0.0


class StepFailed(Exception):
    """A step that did not go as it should; `str()` is what was seen instead."""


async def play(
    chromium: Chromium,
    *,
    url: str,
    steps: Sequence[Step],
    tries: int,
    patience: float,
    screenshots: Path | None,
) -> list[Played]:
    """Play until a try goes well or all are used up. Raises Broken where Playwright is missing."""
    try:
        from playwright.async_api import async_playwright  # noqa: PLC0415 - optional extra
    except ImportError:
        raise Broken("Playwright is not installed: pip install 'deploybot[journeys]'") from None
    taken: list[Played] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{chromium.port}")
        for _ in range(tries):
            journey = _Journey(
                url=url, steps=steps, patience=patience, screenshots=screenshots, gate=chromium.gate
            )
            taken.append(await journey.play(browser))
            if not taken[-1].failed_step:
                break
    return taken


class _Journey:
    def __init__(
        self, *, url: str, steps: Sequence[Step], patience: float, screenshots: Path | None, gate: Gate
    ) -> None:
        self._url = url
        self._steps = steps
        self._patience = patience
        self._folder = screenshots
        self._gate = gate
        self._played = Played()
        self._used: dict[str, int] = {}

    async def play(self, browser: Browser) -> Played:
        """One try from the start."""
        from playwright.async_api import Error  # noqa: PLC0415 - optional extra

        began = time.perf_counter()
        # A service worker would answer requests before they can be blocked or delayed.
        context = await browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, service_workers="block", accept_downloads=False
        )
        try:
            page = await self._open(context)
            for number, step in enumerate(self._steps, start=1):
                at = time.perf_counter()
                try:
                    await self._do(page, step)
                except StepFailed as failed:
                    self._fail(number, step, str(failed))
                except Error as error:
                    self._fail(number, step, _in_words(error, step, self._patience))
                if self._played.failed_step:
                    await self._picture(page, f"failed-step-{number}")
                    break
                self._played.done.append((step.in_words(), (time.perf_counter() - at) * 1000))
        finally:
            await context.close()
        self._played.unused = [glob for glob, count in self._used.items() if not count]
        self._played.ms = (time.perf_counter() - began) * 1000
        return self._played

    async def _open(self, context: BrowserContext) -> Page:
        timed = timed_selectors(self._steps)
        if timed:
            await context.add_init_script(f"({_TIME_APPEARANCES.strip()})({json.dumps(timed)})")
        page = await context.new_page()
        page.set_default_timeout(self._patience * 1000)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self._played.uncaught.append(str(error)[:300]))
        page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        # An icon nobody asked for, and what the allow-list keeps the page from, are not the page's errors.
        source = urlsplit(str(message.location.get("url", "")))
        port = source.port or (443 if source.scheme == "https" else 80)
        if source.path == "/favicon.ico" or f"{source.hostname}:{port}" in self._gate.refused:
            return
        self._played.console_errors.append(message.text[:300])

    def _fail(self, number: int, step: Step, why: str) -> None:
        self._played.failed_step = number
        self._played.why = f"step {number} ({step.in_words()}): {why}"

    async def _do(self, page: Page, step: Step) -> None:
        argument = step.argument
        match step.word:
            case "goto":
                answer = await page.goto(urljoin(self._url, argument), wait_until="domcontentloaded")
                if answer is not None and answer.status >= 400:
                    raise StepFailed(f"the page answers {answer.status}")
            case "click":
                await page.click(argument)
            case "fill":
                value = argument.value
                await page.fill(argument.selector, value.reveal() if isinstance(value, Secret) else value)
            case "press":
                await page.press(argument.selector, argument.key)
            case "wait":
                await asyncio.sleep(argument)
            case "block_request":
                await self._route(page, argument.url, _blocked(argument.status))
            case "delay_request":
                await self._route(page, argument.url, _delayed(argument.by))
            case "screenshot":
                await self._picture(page, argument)
            case _:
                await self._expect(page, step)
                # Chromium's own error page has text, pictures and buttons; none of them is the site's.
                if await page.evaluate("document.URL.startsWith('chrome-error:')"):
                    raise StepFailed("the page that was opened does not load")

    async def _expect(self, page: Page, step: Step) -> None:
        argument = step.argument
        match step.word:
            case "expect_text":
                wanted = argument if isinstance(argument, Text) else Text(text=argument)
                await self._expect_text(page, wanted)
            case "expect_selector":
                wanted_ = argument if isinstance(argument, Visible) else Visible(selector=argument)
                await self._expect_visible(page, wanted_)
            case "expect_gone":
                await page.locator(argument).first.wait_for(state="hidden")
            case "expect_url":
                await page.wait_for_url(re.compile(argument))
            case "expect_not_blank":
                if not await self._eventually(lambda: page.evaluate(_SHOWS_SOMETHING)):
                    raise StepFailed("the page is blank")
            case "expect_drawing":
                drawing = page.locator(argument).first
                await drawing.wait_for(state="visible")
                if not await self._eventually(lambda: drawing.evaluate(_IS_DRAWN)):
                    raise StepFailed("nothing is drawn on it")
            case "expect_no_console_errors":
                await asyncio.sleep(0.1)  # what was logged is still on its way
                errors = [*self._played.uncaught, *self._played.console_errors]
                if errors:
                    raise StepFailed(f"{len(errors)} errors, the first: {errors[0][:150]}")

    async def _expect_text(self, page: Page, wanted: Text) -> None:
        place = page.locator(wanted.selector).filter(has_text=wanted.text).first
        within = self._patience if wanted.within is None else wanted.within
        await place.wait_for(state="visible", timeout=within * 1000)

    async def _expect_visible(self, page: Page, wanted: Visible) -> None:
        if wanted.within is None:
            await page.locator(wanted.selector).first.wait_for(state="visible")
            return
        read = f"window.__deploybotAppeared && __deploybotAppeared({json.dumps(wanted.selector)})"
        took: float | None = None
        deadline = time.monotonic() + wanted.within + GRACE_S
        while took is None and time.monotonic() < deadline:
            took = await page.evaluate(read)
            if took is None:
                await asyncio.sleep(0.03)
        if took is None:
            raise StepFailed("it is not to be seen")
        if took > wanted.within * 1000:
            raise StepFailed(f"it was seen after {took:.0f} ms, not within {wanted.within * 1000:.0f} ms")

    async def _eventually(self, holds: Callable[[], Awaitable[Any]]) -> bool:
        deadline = time.monotonic() + self._patience
        while not await holds():
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(0.1)
        return True

    async def _route(self, page: Page, glob: str, answer: Callable[[Route], Awaitable[None]]) -> None:
        self._used.setdefault(glob, 0)

        async def handle(route: Route, _: Request) -> None:
            self._used[glob] += 1
            await answer(route)

        await page.route(glob, handle)

    async def _picture(self, page: Page, name: str) -> None:
        if self._folder is None:
            return
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        path = self._folder / f"{name}.png"
        await page.screenshot(path=path)
        self._played.pictures.append(path.name)


def _blocked(status: int | None) -> Callable[[Route], Awaitable[None]]:
    async def answer(route: Route) -> None:
        if status is None:
            await route.abort()
        else:
            await route.fulfill(status=status, content_type="application/json", body="{}")

    return answer


def _delayed(by: float) -> Callable[[Route], Awaitable[None]]:
    from playwright.async_api import Error  # noqa: PLC0415 - optional extra

    async def answer(route: Route) -> None:
        await asyncio.sleep(by)
        with contextlib.suppress(Error):  # the page was left meanwhile
            await route.continue_()

    return answer


def _in_words(error: Exception, step: Step, patience: float) -> str:
    """What Playwright says, without its call log: that repeats what was filled in."""
    first = str(error).partition("\n")[0]
    if "Timeout" in first:
        return {
            "expect_gone": f"it is still there after {patience:g} s",
            "expect_text": "the text is not on the page",
            "expect_selector": "it is not to be seen",
            "expect_url": "the address is another",
        }.get(step.word, f"it did not work within {patience:g} s")
    found = re.search(r"net::(ERR_\w+)", first)
    if found:
        return "the host is not allowed or not reachable" if "SOCKS" in found[1] else f"{found[1]}"
    return "" if step.word == "fill" else first.removeprefix("Error: ")[:200]
