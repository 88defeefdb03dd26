"""The HTTP client of checks, against real servers."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from bot.checks.egress import AllowList
from bot.checks.kind import Broken, Refused, TargetDown
from bot.checks.web import WebClient, host_and_port
from bot.example.programs import free_port
from tests.checking import LOOPBACK
from tests.servers.certificates import Authority
from tests.servers.nginx import Nginx, Server, running_nginx
from tests.servers.shop import Shop, serving

BIG = gzip.compress(b"0" * 5_000_000)


def extra_routes(app: web.Application) -> web.Application:
    async def zipped(request: web.Request) -> web.Response:
        body = json.dumps({"ok": True}).encode()
        return web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})

    async def bomb(request: web.Request) -> web.Response:
        return web.Response(body=BIG, headers={"Content-Encoding": "gzip"})

    async def not_zipped(request: web.Request) -> web.Response:
        return web.Response(body=b"plain", headers={"Content-Encoding": "gzip"})

    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "10"})
        await answer.prepare(request)
        await answer.write(b"1")
        await asyncio.sleep(5)
        return answer

    async def twice(request: web.Request) -> web.Response:
        answer = web.Response()
        answer.headers.add("Set-Cookie", "a=1")
        answer.headers.add("Set-Cookie", "b=2; Expires=Wed, 02 Dec 2099 10:00:00 GMT")
        answer.headers.add("Vary", "Accept")
        answer.headers.add("Vary", "Origin")
        return answer

    app.add_routes(
        [
            web.get("/zipped", zipped),
            web.get("/bomb", bomb),
            web.get("/not-zipped", not_zipped),
            web.get("/drip", drip),
            web.get("/twice", twice),
        ]
    )
    return app


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[Shop, str]]:
    shop = Shop()
    with serving(extra_routes(shop.app)) as url:
        yield shop, url


@pytest.fixture
def url(shop: tuple[Shop, str]) -> str:
    shop[0].asked.clear()
    return shop[1]


@pytest.fixture
async def client() -> AsyncIterator[WebClient]:
    client = WebClient(AllowList(LOOPBACK), timeout=5)
    yield client
    await client.close()


async def test_an_answer_holds_status_headers_body_and_times(client: WebClient, url: str) -> None:
    answer = await client.request("GET", f"{url}/version")
    assert answer.status == 200
    assert json.loads(answer.text) == {"build": {"version": "v1.4.2"}}
    assert answer.headers["x-version"] == "v1.4.2"
    assert answer.http_version == "HTTP/1.1"
    assert answer.peer == "127.0.0.1"
    assert 0 < answer.first_byte_ms <= answer.ms


async def test_a_name_that_was_checked_is_spoken_to_under_its_own_name(url: str) -> None:
    port = int(url.rpartition(":")[2])

    async def look_up(name: str) -> tuple[str, ...]:
        return ("127.0.0.1",)

    client = WebClient(AllowList(["127.0.0.0/8"], look_up=look_up))
    answer = await client.request("GET", f"http://shop.example.com:{port}/echo")
    assert json.loads(answer.text)["headers"]["Host"] == f"shop.example.com:{port}"
    await client.close()


async def test_the_second_address_is_tried_where_the_first_does_not_answer(url: str) -> None:
    async def look_up(name: str) -> tuple[str, ...]:
        return ("127.0.0.9", "127.0.0.1")

    client = WebClient(AllowList(["127.0.0.0/8"], look_up=look_up))
    port = int(url.rpartition(":")[2])
    assert (await client.request("GET", f"http://shop.example.com:{port}/page")).peer == "127.0.0.1"
    await client.close()


async def test_redirects_are_answers(client: WebClient, url: str, shop: tuple[Shop, str]) -> None:
    answer = await client.request("GET", f"{url}/moved?to=http://169.254.169.254/")
    assert answer.status == 302
    assert shop[0].asked == ["GET /moved?to=http://169.254.169.254/"]


async def test_cookies_are_not_kept(client: WebClient, url: str) -> None:
    answer = await client.request("GET", f"{url}/twice")
    assert answer.headers["set-cookie"].split("\n")[0] == "a=1"
    assert answer.headers["set-cookie"].split("\n")[1].startswith("b=2; Expires=Wed, 02")
    assert answer.headers["vary"] == "Accept, Origin"
    echo = json.loads((await client.request("GET", f"{url}/echo")).text)
    assert "Cookie" not in echo["headers"]


async def test_proxy_settings_of_the_environment_are_not_read(
    client: WebClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert (await client.request("GET", f"{url}/page")).status == 200


async def test_a_fresh_request_opens_a_connection_of_its_own(client: WebClient) -> None:
    opened = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for _ in range(3):
            await client.request("GET", url)
        assert opened == 1
        for _ in range(3):
            assert (await client.request("GET", url, fresh=True)).peer == "127.0.0.1"
        assert opened == 4
        await client.close()


async def test_an_answer_that_is_no_http_is_down(client: WebClient) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        with pytest.raises(TargetDown, match="no HTTP"):
            await client.request("GET", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


async def test_a_header_that_cannot_be_sent_is_a_broken_check(client: WebClient, url: str) -> None:
    with pytest.raises(Broken, match="cannot be asked so"):
        await client.request("GET", f"{url}/page", headers={"X-Shop": "a\r\nX-Other: b"})


async def test_a_header_that_is_not_ascii_is_read_as_latin_1_where_it_is_no_utf_8(client: WebClient) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nx-a: caf\xe9\r\nx-b: caf\xc3\xa9\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        answered = await client.request("GET", url)
    assert (answered.headers["x-a"], answered.headers["x-b"]) == ("café", "café")


async def test_compressed_bodies_are_unpacked(client: WebClient, url: str) -> None:
    answer = await client.request("GET", f"{url}/zipped")
    assert json.loads(answer.text) == {"ok": True}
    assert answer.wire_bytes != len(answer.body)


async def test_a_body_that_unpacks_to_too_much_is_cut_and_says_so(client: WebClient, url: str) -> None:
    answer = await client.request("GET", f"{url}/bomb", max_bytes=1_000_000)
    assert len(answer.body) == 1_000_000
    assert answer.truncated


async def test_a_long_body_is_cut_and_says_so(client: WebClient, url: str) -> None:
    answer = await client.request("GET", f"{url}/page", max_bytes=10)
    assert (len(answer.body), answer.truncated) == (10, True)
    assert not (await client.request("GET", f"{url}/page")).truncated


async def test_a_body_that_is_not_what_it_says_stays_as_it_came(client: WebClient, url: str) -> None:
    assert (await client.request("GET", f"{url}/not-zipped")).body == b"plain"


async def test_silence_and_a_body_that_stops_are_down(client: WebClient, url: str) -> None:
    for path in ("/slow/3000", "/drip"):
        with pytest.raises(TargetDown, match=r"no answer from .* within 0\.2 s"):
            await client.request("GET", f"{url}{path}", timeout=0.2)


async def test_a_connection_that_is_cut_off_is_down(client: WebClient, url: str) -> None:
    with pytest.raises(TargetDown):
        await client.request("POST", f"{url}/rough")


async def test_nobody_listening_is_down(client: WebClient) -> None:
    with pytest.raises(TargetDown, match="nothing listens there"):
        await client.request("GET", f"http://127.0.0.1:{free_port()}/")


async def test_trouble_never_quotes_credentials_or_the_query(client: WebClient) -> None:
    url = f"http://ana:s3cr3t@127.0.0.1:{free_port()}/x?api_key=s3cr3t"
    with pytest.raises(TargetDown) as caught:
        await client.request("GET", url)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["shop", "ftp://localhost/", "file:///etc/passwd", "http://", "http://[::1/", "unix:/run/x"]
)
async def test_what_is_no_web_address_is_a_broken_check(client: WebClient, url: str) -> None:
    with pytest.raises(Broken):
        await client.request("GET", url)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
async def test_loopback_is_out_of_reach_where_it_is_not_allowed(url: str, host: str) -> None:
    client = WebClient(AllowList(["shop.example.com"]))
    with pytest.raises(Refused):
        await client.request("GET", f"http://{host}:{url.rpartition(':')[2]}/page")
    await client.close()


async def test_a_request_that_is_given_up_leaves_the_client_usable(client: WebClient, url: str) -> None:
    for _ in range(30):
        task = asyncio.create_task(client.request("GET", f"{url}/slow/2000"))
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await client.request("GET", f"{url}/page")).status == 200


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nginx, Authority]]:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    servers = {
        "good": Server(body="return 200;", certificate=authority.issue("good")),
        "named": Server(body="return 200;", certificate=authority.issue("named", "shop.example.com")),
        "expired": Server(body="return 200;", certificate=authority.issue("expired", days_left=-2)),
    }
    with running_nginx(servers) as nginx:
        yield nginx, authority


async def test_certificates_are_checked_with_the_environments_authority(
    secure: tuple[Nginx, Authority], client: WebClient
) -> None:
    nginx, authority = secure
    with pytest.raises(TargetDown, match="its certificate is not accepted"):
        await client.request("GET", nginx.url("good"))
    trusting = WebClient(AllowList(LOOPBACK), ca_file=authority.file)
    assert (await trusting.request("GET", nginx.url("good"))).status == 200
    with pytest.raises(TargetDown, match="expired"):
        await trusting.request("GET", nginx.url("expired"))
    with pytest.raises(TargetDown, match="Hostname mismatch"):
        await trusting.request("GET", nginx.url("named"))
    assert (await trusting.request("GET", nginx.url("named"), verify=False)).status == 200
    await trusting.close()


async def test_the_certificate_is_checked_for_the_name_and_not_for_the_address(
    secure: tuple[Nginx, Authority],
) -> None:
    async def look_up(name: str) -> tuple[str, ...]:
        return ("127.0.0.1",)

    nginx, authority = secure
    client = WebClient(AllowList(["127.0.0.0/8"], look_up=look_up), ca_file=authority.file)
    port = nginx.port("named")
    for fresh in (False, True):
        answer = await client.request("GET", f"https://shop.example.com:{port}/", fresh=fresh)
        assert answer.status == 200
    await client.close()


async def test_a_ca_file_that_cannot_be_used_is_a_broken_check(tmp_path: Path) -> None:
    client = WebClient(AllowList(LOOPBACK), ca_file=tmp_path / "missing.pem")
    with pytest.raises(Broken, match="CA file"):
        await client.request("GET", "https://localhost/")
    await client.close()


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://shop.example.com/x", ("shop.example.com", 443)),
        ("redis://:pw@cache:6380/0", ("cache", 6380)),
        ("postgresql+asyncpg://ana:pw@db/shop", ("db", 5432)),
        ("ws://[::1]/", ("::1", 80)),
    ],
)
def test_host_and_port_are_read_from_a_url(url: str, found: tuple[str, int]) -> None:
    assert host_and_port(url) == found


@pytest.mark.parametrize("url", ["shop", "https:///x", "https://shop:port/", "amqp://ana:s3cr3t@mq/"])
def test_a_url_without_host_or_port_is_a_broken_check_and_quotes_no_secret(url: str) -> None:
    with pytest.raises(Broken) as caught:
        host_and_port(url)
    assert "s3cr3t" not in str(caught.value)
