"""Our own collector of web vitals: Chromium's performance entries, read over DevTools.

Six metrics without Node. It measures what happens on this machine: the desktop preset is not throttled, the
mobile preset is slowed down as Lighthouse's `devtools` throttling does it. No input is given to the page, so
that every layout shift counts: Chromium marks those within 500 ms of setting the viewport as following input,
and with them left out CLS comes out as 0 (crbug.com/1302667).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from bot.checks.devtools import DevTools, DevToolsError
from bot.checks.kind import NoData, TargetDown
from bot.checks.vitals import Span, Visit, time_to_interactive

#: Seconds between looks at the page.
LOOK_S = 0.25
#: A request under way for longer than this, in ms, is a stream and keeps no page from being at rest.
STREAM = 10_000.0

_OBSERVE = """
(() => {
  if (window !== window.top) return;
  const seen = {fcp: null, lcp: null, element: "", shifts: [], tasks: []};
  const named = node => {
    if (!node || !node.tagName) return "";
    const id = node.id ? "#" + node.id : "";
    const classes = typeof node.className === "string" ? node.className.trim().split(/\\s+/) : [];
    return node.tagName.toLowerCase() + id + classes.filter(Boolean).slice(0, 2).map(c => "." + c).join("");
  };
  const watch = (type, take) =>
    new PerformanceObserver(list => list.getEntries().forEach(take)).observe({type, buffered: true});
  watch("paint", e => { if (e.name === "first-contentful-paint") seen.fcp = e.startTime; });
  watch("largest-contentful-paint", e => { seen.lcp = e.startTime; seen.element = named(e.element); });
  watch("layout-shift", e => seen.shifts.push([e.startTime, e.value]));
  watch("longtask", e => seen.tasks.push([e.startTime, e.startTime + e.duration]));
  Object.defineProperty(window, "__deploybotVitals", {value: () => {
    const navigation = performance.getEntriesByType("navigation")[0];
    return {...seen, now: performance.now(), url: location.href, ttfb: navigation.responseStart,
            dcl: navigation.domContentLoadedEventEnd, load: navigation.loadEventEnd};
  }});
})()
"""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A device and a network."""

    width: int
    height: int
    scale: float
    mobile: bool
    #: How many times slower the processor is made.
    cpu: float = 1.0
    #: Latency in ms and throughput in bytes/s of the network; None leaves it alone.
    latency: float | None = None
    download: float = -1
    upload: float = -1
    words: str = ""


#: The mobile one is Lighthouse's: Moto G Power, slow 4G (`devtools` throttling: latency 150 x 3.75 ms,
#: throughput 1.6 Mbit/s x 0.9 down, 750 kbit/s x 0.9 up, processor 4 times slower).
PRESETS = {
    "desktop": Preset(width=1280, height=720, scale=1, mobile=False, words="desktop 1280x720, not throttled"),
    "mobile": Preset(
        width=412,
        height=823,
        scale=1.75,
        mobile=True,
        cpu=4,
        latency=562.5,
        download=1.6 * 1024 * 1024 * 0.9 / 8,
        upload=750 * 1024 * 0.9 / 8,
        words="mobile 412x823, processor 4x slower, 562 ms latency, 1.4 Mbit/s",
    ),
}


class _Network:
    """The requests of one session, in seconds of the browser's own clock."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._open: dict[str, float] = {}
        self._done: list[tuple[float, float]] = []
        self._failed = ""
        #: Of the newest navigation of the main frame.
        self.began = 0.0
        self.status: int | None = None
        self._document = ""
        self.frame = ""

    def __call__(self, event: str, params: dict[str, Any], session: str) -> None:
        """Take in an event."""
        if session != self._session:
            return
        number = params.get("requestId", "")
        match event:
            case "Network.requestWillBeSent":
                if params.get("type") == "Document" and params.get("frameId") == self.frame:
                    if number != self._document:  # a redirect keeps its number and its beginning
                        self._document, self.began = number, params["timestamp"]
                    self.status = None
                if params["request"]["method"] == "GET":
                    self._open.setdefault(number, params["timestamp"])
            case "Network.responseReceived":
                status = params["response"]["status"]
                if number == self._document:
                    self.status = status
                if status >= 400:
                    self._open.pop(number, None)  # Lighthouse counts these as failed: not as network activity
            case "Network.loadingFinished":
                began = self._open.pop(number, None)
                if began is not None:
                    self._done.append((began, params["timestamp"]))
            case "Network.loadingFailed":
                self._open.pop(number, None)

    def spans(self, until: float) -> list[Span]:
        """The GET requests of this navigation, in ms since it began."""
        done = [((a - self.began) * 1000, (b - self.began) * 1000) for a, b in self._done]
        started = [(began - self.began) * 1000 for began in self._open.values()]
        under_way = [(start, until) for start in started if until - start < STREAM]
        return [Span(start=start, end=end) for start, end in [*done, *under_way] if end > start]


async def visit(devtools: DevTools, url: str, *, preset: Preset, settle: float) -> Visit:
    """Visit a page once, in a profile of its own, until it is at rest or `settle` seconds are over.

    Raises TargetDown where it does not load or answers an error, NoData where it paints nothing.
    """
    profile = (await devtools.call("Target.createBrowserContext"))["browserContextId"]
    try:
        target = await devtools.call("Target.createTarget", url="about:blank", browserContextId=profile)
        attached = await devtools.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        session = attached["sessionId"]
        network = _Network(session)
        network.frame = target["targetId"]
        devtools.listen(network)
        await _prepare(devtools, session, preset)
        answer = await devtools.call("Page.navigate", session=session, url=url)
        if answer.get("errorText"):
            raise TargetDown(f"{url} does not load: {answer['errorText'].removeprefix('net::')}")
        return await _watch(devtools, session, network, url, settle)
    finally:
        await devtools.call("Target.disposeBrowserContext", browserContextId=profile)


async def _prepare(devtools: DevTools, session: str, preset: Preset) -> None:
    async def call(method: str, **params: Any) -> None:
        await devtools.call(method, session=session, **params)

    await call("Page.enable")
    await call("Network.enable")
    await call(
        "Emulation.setDeviceMetricsOverride",
        width=preset.width,
        height=preset.height,
        deviceScaleFactor=preset.scale,
        mobile=preset.mobile,
    )
    if preset.mobile:
        agent = (await devtools.call("Browser.getVersion"))["userAgent"].replace("Headless", "")
        mobile = agent.replace("X11; Linux x86_64", "Linux; Android 11; moto g power (2022)")
        await call("Network.setUserAgentOverride", userAgent=mobile.replace(" Safari/", " Mobile Safari/"))
        await call("Emulation.setTouchEmulationEnabled", enabled=True)
    if preset.cpu != 1:
        await call("Emulation.setCPUThrottlingRate", rate=preset.cpu)
    if preset.latency is not None:
        await call(
            "Network.emulateNetworkConditions",
            offline=False,
            latency=preset.latency,
            downloadThroughput=preset.download,
            uploadThroughput=preset.upload,
        )
    await call("Page.addScriptToEvaluateOnNewDocument", source=_OBSERVE)


async def _watch(devtools: DevTools, session: str, network: _Network, url: str, settle: float) -> Visit:
    deadline = time.monotonic() + settle
    seen: Visit | None = None
    while True:
        await asyncio.sleep(LOOK_S)
        over = time.monotonic() >= deadline
        if network.status is not None and network.status >= 400:
            raise TargetDown(f"{url} answers {network.status}")
        read = await _read(devtools, session, max(deadline - time.monotonic(), 0) + 5)
        if read is not None:
            seen = _visit_of(read, network)
            if over or (read["load"] and time_to_interactive(seen) is not None):
                break
        if over:
            break
    if seen is None:
        raise TargetDown(f"{url} did not load within {settle:g} s")
    if seen.fcp is None:
        raise NoData(f"{url} painted nothing within {settle:g} s: the page is blank")
    return seen


async def _read(devtools: DevTools, session: str, patience: float) -> dict[str, Any] | None:
    """What the page saw so far; None while there is no page, or none that answers."""
    expression = "window.__deploybotVitals && location.href !== 'about:blank' ? __deploybotVitals() : null"
    try:
        async with asyncio.timeout(patience):
            answer = await devtools.call(
                "Runtime.evaluate", session=session, expression=expression, returnByValue=True
            )
    except (DevToolsError, TimeoutError):
        return None
    value = answer.get("result", {}).get("value")
    return value if isinstance(value, dict) else None


def _visit_of(read: dict[str, Any], network: _Network) -> Visit:
    return Visit(
        ttfb=read["ttfb"],
        fcp=read["fcp"],
        lcp=read["lcp"] if read["lcp"] is not None else read["fcp"],
        dom_content_loaded=read["dcl"],
        long_tasks=tuple(Span(start=start, end=end) for start, end in read["tasks"]),
        requests=tuple(network.spans(read["now"])),
        shifts=tuple((at, score) for at, score in read["shifts"]),
        until=read["now"],
        lcp_element=read["element"],
        url=read["url"],
    )
