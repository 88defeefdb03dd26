"""A Chromium of our own: own process group, own profile, one way out (`bot.checks.gate`), killed whole.

Lighthouse and Playwright can start browsers too, but a browser they start lives on when they are killed
(measured: one for 23 minutes). One that is started here and attached to leaves nothing behind: it is killed
with its whole group, and the kernel ends it when the bot itself is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bot.checks.gate import Gate
from bot.checks.kind import Broken, Context

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Seconds until it must be ready; it takes 0.2 s on an idle machine.
START_S = 30.0
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    # It calls nobody by itself.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-features=Translate,MediaRouter,OptimizationHints,AutofillServerCommunication",
    # All traffic takes the proxy: no UDP around it.
    "--disable-quic",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    # Pages are measured as if somebody looked at them.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--hide-scrollbars",
    "--mute-audio",
    "--password-store=basic",
    # Containers give /dev/shm 64 MB, too little for a large page.
    "--disable-dev-shm-usage",
    "--window-size=1280,720",
)


@dataclass(frozen=True, kw_only=True)
class Chromium:
    """A running browser."""

    #: Port of its DevTools on loopback.
    port: int
    #: Path of the browser's own DevTools endpoint.
    endpoint: str
    #: Its process group.
    group: int
    gate: Gate

    @property
    def websocket(self) -> str:
        """Address of the browser's DevTools."""
        return f"ws://127.0.0.1:{self.port}{self.endpoint}"


@contextlib.asynccontextmanager
async def start_chromium(context: Context, *, any_certificate: bool = False) -> AsyncIterator[Chromium]:
    """A browser, gone with all its processes on leaving. Raises Broken where there is none to start."""
    program = next(filter(None, map(context.processes.find, PROGRAMS)), None)
    if program is None:
        raise Broken("Chromium is not installed on the machine the bot runs on: apt-get install chromium")
    profile = Path(tempfile.mkdtemp(prefix="deploybot-chromium-"))
    process: asyncio.subprocess.Process | None = None
    try:
        async with Gate(context.egress) as gate:
            argv = [*_dies_with_us(context), program, *_flags(profile, gate, any_certificate), "about:blank"]
            with (profile / "errors").open("wb") as errors:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    cwd=profile,
                    env={
                        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                        "LANG": "C.UTF-8",
                        "HOME": str(profile),
                        "TMPDIR": str(profile),
                    },
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                )
            try:
                port, endpoint = await _ready(process, profile)
                yield Chromium(port=port, endpoint=endpoint, group=process.pid, gate=gate)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
    finally:
        await _remove(profile)


def _flags(profile: Path, gate: Gate, any_certificate: bool) -> list[str]:
    flags = [
        *FLAGS,
        f"--user-data-dir={profile}",
        f"--proxy-server=socks5://127.0.0.1:{gate.port}",
        # Loopback would go around the proxy.
        "--proxy-bypass-list=<-loopback>",
        # Nothing is resolved around it either; the proxy's own address needs no resolving
        # (chromium.org, "Configuring a SOCKS proxy server in Chrome").
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    ]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium refuses to sandbox as root
    if any_certificate:
        flags.append("--ignore-certificate-errors")
    return flags


async def _remove(profile: Path) -> None:
    """Remove a profile, which processes that are just being killed may still write into."""
    for pause in (0.0, 0.05, 0.2, 1.0):
        await asyncio.sleep(pause)
        shutil.rmtree(profile, ignore_errors=True)
        if not profile.exists():  # noqa: ASYNC240 - one look at a local folder
            return


def _dies_with_us(context: Context) -> list[str]:
    """What makes the kernel kill the browser when the bot dies without a chance to do it itself."""
    setpriv = context.processes.find("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


async def _ready(process: asyncio.subprocess.Process, profile: Path) -> tuple[int, str]:
    """The port and endpoint, which it writes down once it listens."""
    written = profile / "DevToolsActivePort"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            while process.returncode is None:
                with contextlib.suppress(OSError):
                    lines = written.read_text().split()
                    if len(lines) == 2:
                        return int(lines[0]), lines[1]
                await asyncio.sleep(0.02)
    said = (profile / "errors").read_text(errors="replace").strip().splitlines()
    why = said[-1][-200:] if said else "it says nothing"
    raise Broken(f"Chromium did not start: {why}")
