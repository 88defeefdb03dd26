"""The API: products, orders, logins, and the events browsers hear of at once."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from bot.example.shop.answers import SHOP, guarded, limited, problem, read_json, whole_number
from bot.example.shop.stock import Wanted

_REFRESH_COOKIE = "__Host-refresh"
DELIVERY_CENTS = 490


def wanted_products(request: web.Request) -> Wanted:
    """The search and the filters of a request. Raises HTTPBadRequest."""
    query = request.query
    most = 2**31 - 1
    return Wanted(
        text=query.get("q", "")[:80],
        category=query.get("category", "")[:40],
        max_price_cents=whole_number(query.get("max_price_cents", str(most)), "max_price_cents"),
        limit=whole_number(query.get("limit", "100"), "limit", most=100),
    )


async def products(request: web.Request) -> web.Response:
    """Products that match."""
    found = await request.app[SHOP].stock.products(wanted_products(request))
    return web.json_response({"items": found, "total": len(found)})


async def product(request: web.Request) -> web.Response:
    """One product."""
    found = await request.app[SHOP].stock.product(_product_id(request))
    return problem(404, "There is no such product.") if found is None else web.json_response(found)


def _product_id(request: web.Request) -> int:
    text = request.match_info["id"]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


async def orders(request: web.Request) -> web.Response:
    """The newest orders of a customer."""
    customer = whole_number(request.query.get("customer", "1"), "customer")
    found = await request.app[SHOP].stock.orders(customer)
    return web.json_response({"items": found, "total": len(found)})


async def checkout(request: web.Request) -> web.Response:
    """What an order comes to, as the page shows before it is placed."""
    shop = request.app[SHOP]
    if not shop.conduct.checkout:
        return _closed()
    number = whole_number(request.query.get("product_id", "1"), "product_id")
    found = await shop.stock.product(number)
    if found is None:
        return problem(404, "There is no such product.")
    total = found["price_cents"] + DELIVERY_CENTS
    return web.json_response({"product_id": number, "delivery_cents": DELIVERY_CENTS, "total_cents": total})


def _closed() -> web.Response:
    return problem(500, "Nobody can order anything.")


async def place_order(request: web.Request) -> web.Response:
    """Order something."""
    shop = request.app[SHOP]
    if not shop.conduct.checkout:
        return _closed()
    body = await read_json(request)
    wanted = body.get("product_id")
    found = await shop.stock.product(wanted) if isinstance(wanted, int) else None
    if found is None:
        return problem(422, "product_id names no product.")
    number = await shop.stock.order(1, found)
    await shop.stock.audit(request["account"], "order.placed", str(body.get("marker", number)))
    await tell(request, {"type": "order", "text": f"Somebody just bought {found['name']}."})
    return web.json_response({"id": number}, status=201)


async def sales(request: web.Request) -> web.Response:
    """Orders by day."""
    return web.json_response({"days": await request.app[SHOP].stock.sales()})


async def me(request: web.Request) -> web.Response:
    """Who is asking."""
    return web.json_response({"account": request["account"]})


async def delivery(request: web.Request) -> web.Response:
    """The price of delivery: costs something to find out, so it is limited."""
    refusal, headers = limited(request, "anybody")
    return refusal or web.json_response({"delivery_cents": DELIVERY_CENTS}, headers=headers)


async def events(request: web.Request) -> web.Response:
    """Tell every browser that is connected, and the audit log."""
    body = await read_json(request)
    marker = str(body.get("marker") or request.headers.get("X-Request-ID", ""))[:200]
    await request.app[SHOP].stock.audit(request["account"], "event.sent", marker)
    told = await tell(request, {"type": "event", "marker": marker, "text": str(body.get("text", ""))[:200]})
    return web.json_response({"told": told}, status=202)


async def ping(request: web.Request) -> web.Response:
    """Have every browser that is connected hear something, at once."""
    marker = request.headers.get("X-Request-ID", "")[:200]
    return web.json_response({"told": await tell(request, {"type": "ping", "marker": marker})}, status=202)


async def tell(request: web.Request, event: dict[str, Any]) -> int:
    """Push an event to every browser; how many there are."""
    told = 0
    for socket in [*request.app[SHOP].sockets]:
        try:
            await socket.send_str(json.dumps(event))
            told += 1
        except ConnectionError:
            request.app[SHOP].sockets.discard(socket)
    return told


async def live(request: web.Request) -> web.WebSocketResponse:
    """A browser that wants to hear of events."""
    socket = web.WebSocketResponse(heartbeat=20)
    await socket.prepare(request)
    sockets = request.app[SHOP].sockets
    sockets.add(socket)
    try:
        async for message in socket:
            if message.type is web.WSMsgType.TEXT and message.data == "ping":
                await socket.send_str('{"type": "pong"}')
    finally:
        sockets.discard(socket)
    return socket


async def log_in(request: web.Request) -> web.Response:
    """An account and its password for tokens; few attempts for each account."""
    shop = request.app[SHOP]
    body = await read_json(request)
    account, password = str(body.get("name", "")), str(body.get("password", ""))
    refusal, headers = limited(request, account)
    if refusal is not None:
        return refusal
    known = shop.sessions.same(account, shop.settings.account)
    if not (shop.sessions.same(password, shop.settings.password) and known):
        await shop.stock.audit(account, "login.refused")
        return problem(401, "The account or the password is wrong.", headers=headers)
    await shop.stock.audit(account, "login")
    return _tokens(*shop.sessions.begin(account), headers=headers)


async def refresh(request: web.Request) -> web.Response:
    """New tokens for the refresh token, from its cookie or the request."""
    body = await read_json(request)
    token = str(body.get("refresh_token") or request.cookies.get(_REFRESH_COOKIE, ""))
    renewed = request.app[SHOP].sessions.renew(token)
    return problem(401, "The refresh token is not valid.") if renewed is None else _tokens(*renewed)


async def log_out(request: web.Request) -> web.Response:
    """End the session of the token."""
    shop = request.app[SHOP]
    shop.sessions.end(request.headers.get("Authorization", "").partition(" ")[2])
    await shop.stock.audit(request["account"], "logout")
    answer = web.Response(status=204)
    answer.del_cookie(_REFRESH_COOKIE, secure=True, httponly=True, samesite="Strict")
    return answer


def _tokens(access: str, refresh_token: str, *, headers: dict[str, str] | None = None) -> web.Response:
    answer = web.json_response(
        {"access_token": access, "refresh_token": refresh_token, "token_type": "Bearer"},
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
    answer.set_cookie(
        _REFRESH_COOKIE, refresh_token, secure=True, httponly=True, samesite="Strict", path="/", max_age=86400
    )
    return answer


def routes() -> list[web.RouteDef]:
    """Every route of the API."""
    return [
        web.get("/api/products", guarded(products)),
        web.get("/api/products/{id}", guarded(product)),
        web.get("/api/orders", guarded(orders)),
        web.post("/api/orders", guarded(place_order)),
        web.get("/api/sales", guarded(sales)),
        web.get("/api/me", guarded(me)),
        web.post("/api/events", guarded(events)),
        web.post("/api/login", log_in),
        web.post("/api/refresh", refresh),
        web.post("/api/logout", guarded(log_out)),
        # What pages show to everybody needs no token.
        web.get("/shop/products.json", products),
        web.get("/shop/sales.json", sales),
        web.get("/shop/delivery.json", delivery),
        web.get("/shop/checkout.json", checkout),
        web.post("/shop/ping", ping),
        web.get("/live", live),
    ]
