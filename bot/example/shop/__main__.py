"""Runs the shop: `python -m bot.example.shop SETTINGS-FILE`."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import signal
import sys
import time
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware

from bot.example.shop import api
from bot.example.shop.answers import SHOP, Handler, Shop, problem
from bot.example.shop.assets import build
from bot.example.shop.pages import Pages
from bot.example.shop.settings import Conduct, Settings
from bot.example.shop.stock import Stock

log = logging.getLogger("storefront")


@web.middleware
async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request in the metrics, by its route rather than its path."""
    began = time.perf_counter()
    status = 500
    try:
        answer = await handler(request)
        status = answer.status
        return answer
    finally:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        if not route.startswith(("/metrics", "/-/", "/live")):
            shop = request.app[SHOP]
            took = time.perf_counter() - began
            shop.metrics.count(shop.conduct.version, request.method, route, status, took)


class Share:
    """Picks a share of what comes: evenly, so that few show it as well as many."""

    def __init__(self) -> None:
        self._due = 0.0

    def picks(self, share: float) -> bool:
        """Whether the next one belongs to it."""
        self._due = self._due + share if share else 0.0
        # A tenth ten times is a little less than one.
        if self._due < 1 - 1e-9:
            return False
        self._due -= 1
        return True


def worse(conduct: Conduct) -> Middleware:
    """A middleware that answers a share of the requests late, or with an error."""
    failing, late = Share(), Share()

    @web.middleware
    async def worsen(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(("/metrics", "/-/")):
            return await handler(request)
        if conduct.delay_ms and late.picks(conduct.delay_share):
            await asyncio.sleep(conduct.delay_ms / 1000)
        if failing.picks(max(conduct.errors, conduct.failing)):
            return problem(500, "The shop is broken.")
        return await handler(request)

    return worsen


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as problems; nothing of our insides in them."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return problem(error.status, error.reason, headers=allow)
    except Exception:
        # A boundary: whatever went wrong, the client learns only that it did.
        log.exception("%s %s", request.method, request.path)
        return problem(500, "Something went wrong; it was written down.")


async def metrics(request: web.Request) -> web.Response:
    """For Prometheus."""
    shop = request.app[SHOP]
    gauges = {
        "workers_running": float(sum(not worker.done() for worker in shop.workers)),
        "workers_wanted": float(shop.conduct.workers),
        "queue_depth": float(await shop.stock.queued()),
        "worker_last_beat_timestamp_seconds": shop.last_beat,
        "live_connections": float(len(shop.sockets)),
    }
    return web.Response(text=shop.metrics.text(gauges), content_type="text/plain")


async def change_conduct(request: web.Request) -> web.Response:
    """For whoever runs the example: break something, mend it, release a version."""
    shop = request.app[SHOP]
    if not hmac.compare_digest(request.headers.get("X-Control-Key", ""), shop.settings.control_key):
        return problem(403, "This is not for you.")
    changed = await request.json()
    if changed.pop("clear_cache", False):
        await shop.stock.clear_cache()
    shop.conduct.change(**changed)
    staff(shop)
    return web.json_response({})


def staff(shop: Shop) -> None:
    """As many workers as are wanted."""
    shop.workers = [worker for worker in shop.workers if not worker.done()]
    while len(shop.workers) < shop.conduct.workers:
        shop.workers.append(asyncio.create_task(work(shop, len(shop.workers))))
    while len(shop.workers) > shop.conduct.workers:
        shop.workers.pop().cancel()


async def work(shop: Shop, worker: int) -> None:
    """Send confirmations, one after the other: here, to the log."""
    try:
        while True:
            shop.last_beat = time.time()
            await shop.stock.beat(worker)
            number = await shop.stock.next_confirmation()
            if number is not None:
                log.info("order %s is confirmed", number)
    finally:
        await shop.stock.leave(worker)


def application(shop: Shop) -> web.Application:
    """The whole shop."""
    app = web.Application(middlewares=[counted, explained, worse(shop.conduct)], client_max_size=2**20)
    app[SHOP] = shop
    app.add_routes(Pages(Path(shop.settings.project) / "web").routes())
    app.add_routes(api.routes())
    app.add_routes([web.get("/metrics", metrics), web.post("/-/conduct", change_conduct)])
    return app


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stock = await Stock.open(settings.database_dsn, settings.redis_dsn)
    assets = build(Path(settings.project) / "web")
    conduct = Conduct(version=settings.version, commit=settings.commit)
    shop = Shop(settings=settings, conduct=conduct, stock=stock, assets=assets)
    runner = web.AppRunner(application(shop), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", settings.port).start()
    staff(shop)
    await stop.wait()
    for socket in [*shop.sockets]:
        await socket.close()
    for worker in shop.workers:
        worker.cancel()
    await asyncio.gather(*shop.workers, return_exceptions=True)
    await runner.cleanup()
    with contextlib.suppress(OSError):
        await stock.close()


if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(main(Settings.read(Path(sys.argv[1]))))
