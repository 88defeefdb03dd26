"""The kinds `headers.…`, against a real nginx."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.domain.check import Evidence, Outcome
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.servers.certificates import Authority
from tests.servers.nginx import GOOD_HEADERS, Nginx, Server, running_nginx
from tests.servers.shop import Shop, serving

PAGE = """<!doctype html><title>Shop</title><link rel="stylesheet" href="/assets/app-3f2a9b1c.css">
<link rel="icon" href="/icon.png"><script src="/assets/app-9a8b7c6d.js"></script><p>Welcome</p>"""
FILES = {
    "/index.html": PAGE,
    "/bare.html": "<title>Shop</title><p>Welcome</p>",
    "/icon.png": "png",
    "/broken.html": PAGE.replace("/icon.png", "/gone.png"),
    "/assets/app-3f2a9b1c.css": "p { color: red; }\n" * 200,
    "/assets/app-9a8b7c6d.js": "console.log(1);\n" * 200,
}
YEAR = 'add_header Cache-Control "public, max-age=31536000, immutable";'
CACHED = """
    location / { add_header Cache-Control "no-cache"; }
    location /assets/ { %s }
"""
CDN = """
    location / {
        proxy_pass http://127.0.0.1:{port:origin}; proxy_http_version 1.1;
        proxy_cache pages; proxy_cache_key $server_port$uri$http_accept_encoding; proxy_cache_valid 200 1m;
        add_header X-Cache $upstream_cache_status;
    }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
def nginx(authority: Authority) -> Iterator[Nginx]:
    good = authority.issue("good")
    inline = """add_header Content-Security-Policy "default-src 'self' 'unsafe-inline'";"""
    reported = """add_header Content-Security-Policy-Report-Only "default-src 'none'";"""
    http_images = """add_header Content-Security-Policy "default-src 'self'; img-src http://x.example.com";"""
    nonce = """add_header Content-Security-Policy
        "script-src 'nonce-$request_id'; object-src 'none'; base-uri 'none'";"""
    fixed = nonce.replace("$request_id", "r4nd0mr4nd0mr4nd0m")
    middling = """
        add_header Strict-Transport-Security "max-age=31536000"; add_header X-Frame-Options DENY;
        add_header Content-Security-Policy "default-src 'self'; img-src http://x.example.com";
        add_header X-Content-Type-Options wrong;
    """
    servers = {
        "good": Server(body=GOOD_HEADERS, certificate=good, files=FILES, listen="http2"),
        "bad": Server(body="", files=FILES),
        "middling": Server(body=middling, certificate=good, files=FILES),
        "inline": Server(body=inline, files=FILES),
        "reported": Server(body=reported, files=FILES),
        "http-images": Server(body=http_images, files=FILES),
        "nonce": Server(body=nonce, files=FILES),
        "fixed-nonce": Server(body=fixed, files=FILES),
        "down": Server(body="location / { return 503; }"),
        "moved": Server(body="location / { return 302 /en/; }"),
        "cached": Server(body=CACHED % YEAR, files=FILES),
        "not-immutable": Server(body=CACHED % YEAR.replace(", immutable", ""), files=FILES),
        "short": Server(body=CACHED % YEAR.replace("31536000", "3600"), files=FILES),
        "long-page": Server(
            body=f'location / {{ add_header Cache-Control "max-age=86400"; }} location /assets/ {{ {YEAR} }}',
            files=FILES,
        ),
        "origin": Server(
            body="gzip on; gzip_types text/css application/javascript; gzip_proxied any;", files=FILES
        ),
        "plain-origin": Server(body="", files=FILES),
        "cdn": Server(body=CDN, certificate=good, listen="http2"),
        "http1-cdn": Server(body=CDN, certificate=good),
        "plain-cdn": Server(
            body=CDN.replace("{port:origin}", "{port:plain-origin}"), certificate=good, listen="http2"
        ),
        "no-cdn": Server(
            body=CDN.replace("proxy_cache_valid 200 1m;", "proxy_no_cache 1;"), certificate=good
        ),
        "aged": Server(body="add_header Age 7200;", files=FILES),
        "to-https": Server(body="return 301 https://localhost:{port:good}$request_uri;"),
        "to-http": Server(body="return 302 http://localhost:{port:bad}/;"),
        "to-no-hsts": Server(body="return 301 https://localhost:{port:cdn}/bare.html;"),
        "to-nowhere": Server(body=f"return 301 https://localhost:{free_port()}/;"),
        "loop": Server(body="return 302 /again;"),
    }
    with running_nginx(servers) as running:
        yield running


class Look:
    """Runs a kind against one of the servers."""

    def __init__(self, nginx: Nginx, authority: Authority) -> None:
        self._nginx = nginx
        self._authority = authority

    async def __call__(
        self, kind: str, server: str, path: str = "/", *, started_at: datetime | None = None, **params: Any
    ) -> Evidence:
        context = make_context(ca_file=self._authority.file, started_at=started_at)
        return await examine(kind, {"url": self._nginx.url(server, path), **params}, context=context)

    def url(self, server: str, path: str = "/") -> str:
        return self._nginx.url(server, path)


@pytest.fixture
def look(nginx: Nginx, authority: Authority) -> Look:
    return Look(nginx, authority)


# ── headers.security ─────────────────────────────────────────────────────────────────────────────────────


async def test_good_headers_earn_an_a_plus(look: Look) -> None:
    evidence = await look("headers.security", "good", http_url=look.url("to-https"))
    assert evidence.outcome is Outcome.PASS, evidence.excerpt
    assert evidence.values["grade"] == "A+"


async def test_middling_headers_warn(look: Look) -> None:
    evidence = await look("headers.security", "middling")
    assert evidence.outcome is Outcome.WARN
    assert evidence.values["grade"] == "A-"


async def test_no_headers_fail(look: Look) -> None:
    evidence = await look("headers.security", "bad")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["grade"] == "F"
    assert "Content-Security-Policy: missing (-25)" in evidence.values["findings"]


async def test_a_missing_redirect_from_http_costs_points(look: Look) -> None:
    evidence = await look("headers.security", "good", http_url=look.url("bad"))
    assert evidence.values["score"] == 80
    assert "Redirection" in evidence.observed


async def test_the_headers_of_an_error_page_are_not_graded(look: Look) -> None:
    evidence = await look("headers.security", "down")
    assert evidence.outcome is Outcome.FAIL
    assert "answers 503" in evidence.reason


async def test_a_page_that_redirects_is_unknown(look: Look) -> None:
    for kind in ("headers.security", "headers.csp", "headers.cache", "headers.cdn"):
        evidence = await look(kind, "moved")
        assert evidence.outcome is Outcome.UNKNOWN
        assert "/en/" in evidence.reason


async def test_an_address_that_is_not_allowed_is_an_error() -> None:
    context = make_context(allow=["shop.example"])
    for kind in ("headers.security", "headers.csp", "headers.cache", "headers.cdn", "headers.purged"):
        evidence = await examine(kind, {"url": "http://127.0.0.1:1/", **_since(kind)}, context=context)
        assert evidence.outcome is Outcome.ERROR, kind


def _since(kind: str) -> dict[str, Any]:
    return {"since": "1h"} if kind == "headers.purged" else {}


# ── headers.csp ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_strict_policy_passes(look: Look) -> None:
    evidence = await look("headers.csp", "good")
    assert evidence.outcome is Outcome.PASS, evidence.excerpt
    assert evidence.values["policy"] == "enforced"
    assert "default-src 'none'" in evidence.excerpt


async def test_inline_scripts_fail(look: Look) -> None:
    evidence = await look("headers.csp", "inline")
    assert evidence.outcome is Outcome.FAIL
    assert "high" in evidence.values["severity"]


async def test_images_without_tls_warn(look: Look) -> None:
    evidence = await look("headers.csp", "http-images")
    assert evidence.outcome is Outcome.WARN


async def test_no_policy_fails(look: Look) -> None:
    evidence = await look("headers.csp", "bad")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["policy"] is None


async def test_a_strict_policy_that_is_only_reported_fails(look: Look) -> None:
    evidence = await look("headers.csp", "reported")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["policy"] == "report_only"


async def test_a_fresh_nonce_passes_and_is_not_kept(look: Look) -> None:
    evidence = await look("headers.csp", "nonce")
    assert evidence.outcome is Outcome.PASS, evidence.excerpt
    assert "'nonce-…'" in evidence.excerpt


async def test_a_nonce_that_never_changes_fails(look: Look) -> None:
    evidence = await look("headers.csp", "fixed-nonce")
    assert evidence.outcome is Outcome.FAIL
    assert "the same in two answers" in evidence.observed


# ── headers.cache ────────────────────────────────────────────────────────────────────────────────────────


async def test_hashed_files_for_a_year_and_a_page_that_is_asked_for_again_pass(look: Look) -> None:
    evidence = await look("headers.cache", "cached")
    assert evidence.outcome is Outcome.PASS, evidence.reason + evidence.excerpt
    assert evidence.values["hashed_assets"] == 2


async def test_hashed_files_without_immutable_warn(look: Look) -> None:
    assert (await look("headers.cache", "not-immutable")).outcome is Outcome.WARN


async def test_hashed_files_for_an_hour_fail(look: Look) -> None:
    evidence = await look("headers.cache", "short")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["short_lived"] == 2


async def test_a_page_kept_for_a_day_fails(look: Look) -> None:
    evidence = await look("headers.cache", "long-page")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["html_max_age_s"] == 86400


async def test_a_page_without_hashed_files_is_unknown(look: Look) -> None:
    evidence = await look("headers.cache", "cached", "/bare.html")
    assert evidence.outcome is Outcome.UNKNOWN
    assert "`urls`" in evidence.reason


async def test_files_can_be_named(look: Look) -> None:
    named = [look.url("cached", "/assets/app-3f2a9b1c.css")]
    evidence = await look("headers.cache", "cached", "/bare.html", urls=named)
    assert evidence.outcome is Outcome.PASS


async def test_a_file_that_is_missing_warns(look: Look) -> None:
    evidence = await look("headers.cache", "cached", "/broken.html")
    assert evidence.outcome is Outcome.WARN
    assert evidence.values["missing"] == 1


# ── headers.cdn ──────────────────────────────────────────────────────────────────────────────────────────


async def test_files_that_come_from_the_cache_compressed_pass(look: Look) -> None:
    evidence = await look("headers.cdn", "cdn")
    assert evidence.outcome is Outcome.PASS, evidence.reason + evidence.excerpt
    assert evidence.values["hit_share"] == 1
    assert evidence.values["protocol"] == "h2"


async def test_a_server_without_http_2_warns(look: Look) -> None:
    evidence = await look("headers.cdn", "http1-cdn")
    assert evidence.outcome is Outcome.WARN
    assert "protocol" in evidence.reason


async def test_texts_without_compression_warn(look: Look) -> None:
    evidence = await look("headers.cdn", "plain-cdn")
    assert evidence.outcome is Outcome.WARN
    assert evidence.values["uncompressed"] == 2


async def test_files_that_never_come_from_the_cache_fail(look: Look) -> None:
    evidence = await look("headers.cdn", "no-cdn")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["hit_share"] == 0


async def test_files_that_do_not_tell_whether_they_are_cached_are_unknown(look: Look) -> None:
    evidence = await look("headers.cdn", "good")
    assert evidence.outcome is Outcome.UNKNOWN
    assert "hit_share" in evidence.reason


async def test_a_page_without_files_of_its_own_is_unknown(look: Look) -> None:
    assert (await look("headers.cdn", "cdn", "/bare.html")).outcome is Outcome.UNKNOWN


# ── headers.purged ───────────────────────────────────────────────────────────────────────────────────────


async def test_copies_from_after_the_deployment_pass(look: Look) -> None:
    started = datetime.now(UTC) - timedelta(hours=3)
    assert (await look("headers.purged", "aged", started_at=started)).outcome is Outcome.PASS


async def test_a_copy_from_before_the_deployment_fails(look: Look) -> None:
    started = datetime.now(UTC) - timedelta(hours=1)
    evidence = await look("headers.purged", "aged", started_at=started)
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["oldest_age_s"] == 7200
    assert (await look("headers.purged", "aged", since="90m")).outcome is Outcome.FAIL


async def test_a_miss_is_new(look: Look) -> None:
    evidence = await look("headers.purged", "no-cdn", "/index.html", since="1m")
    assert evidence.outcome is Outcome.PASS


async def test_a_copy_that_does_not_tell_its_age_is_unknown(look: Look) -> None:
    assert (await look("headers.purged", "good", since="1m")).outcome is Outcome.UNKNOWN


async def test_outside_a_deployment_there_is_nothing_to_be_older_than(look: Look) -> None:
    assert (await look("headers.purged", "aged")).outcome is Outcome.UNKNOWN


async def test_an_old_copy_warns_where_only_that_is_asked_for(look: Look) -> None:
    evidence = await examine(
        "headers.purged", {"url": look.url("aged"), "since": "3h"}, warn={"oldest_age_s": "> 60"}
    )
    assert evidence.outcome is Outcome.WARN


# ── headers.redirect ─────────────────────────────────────────────────────────────────────────────────────


async def test_http_that_leads_to_https_with_hsts_passes(look: Look) -> None:
    evidence = await look("headers.redirect", "to-https", "/shop?x=1")
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["same_host"] and evidence.values["permanent"]


async def test_https_without_hsts_warns(look: Look) -> None:
    evidence = await look("headers.redirect", "to-no-hsts")
    assert evidence.outcome is Outcome.WARN
    assert evidence.values["hsts_max_age_s"] == 0


@pytest.mark.parametrize("server", ["bad", "to-http", "loop", "down", "to-nowhere"])
async def test_http_that_does_not_lead_to_https_fails(look: Look, server: str) -> None:
    assert (await look("headers.redirect", server)).outcome is Outcome.FAIL


async def test_a_redirect_to_an_address_that_is_not_allowed_is_an_error_and_not_followed(
    look: Look, nginx: Nginx
) -> None:
    context = make_context(allow=[f"127.0.0.1:{nginx.port('to-https')}"])
    params = {"url": nginx.url("to-https", host="127.0.0.1")}
    evidence = await examine("headers.redirect", params, context=context)
    assert evidence.outcome is Outcome.ERROR
    assert "nothing was contacted" in evidence.reason


async def test_a_demand_on_what_was_not_reached_is_unknown(look: Look) -> None:
    evidence = await examine(
        "headers.redirect", {"url": look.url("bad")}, expect={"to_https": False, "hsts_max_age_s": "> 0"}
    )
    assert evidence.outcome is Outcome.UNKNOWN


async def test_the_shop_without_nginx_advertises_no_security_headers() -> None:
    with serving(Shop().app) as url:
        evidence = await examine("headers.security", {"url": f"{url}/page"})
    assert evidence.outcome is Outcome.FAIL
