"""Cache headers, hits, hashes in names, and the files of a page."""

from __future__ import annotations

import pytest

from bot.checks.caching import freshness, linked_assets, names_its_content, was_hit
from bot.checks.kind import Answer

NOON = "Mon, 02 Mar 2026 12:00:00 GMT"


def answer(**headers: str) -> Answer:
    return Answer(
        status=200,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=b"",
        truncated=False,
        url="https://shop.example.com/",
        http_version="HTTP/1.1",
        wire_bytes=0,
        ms=1.0,
        first_byte_ms=1.0,
        peer="",
    )


@pytest.mark.parametrize(
    ("headers", "browser", "cdn"),
    [
        ({"cache_control": "max-age=60"}, 60, 60),
        ({"cache_control": "Max-Age=60, S-MaxAge=600"}, 60, 600),
        ({"cache_control": "private, max-age=60"}, 60, 0),
        ({"cache_control": "no-cache, max-age=60"}, 0, 0),
        ({"cache_control": "no-store"}, 0, 0),
        ({"date": NOON, "expires": "Mon, 02 Mar 2026 12:10:00 GMT"}, 600, 600),
        ({"date": NOON, "expires": "0"}, 0, 0),
        ({"date": NOON, "last_modified": "Mon, 02 Mar 2026 02:00:00 GMT"}, 3600, 3600),
        ({"date": NOON}, 0, 0),
        ({"cache_control": "max-age=soon"}, 0, 0),
    ],
)
def test_lifetimes_are_those_browsers_go_by(headers: dict[str, str], browser: float, cdn: float) -> None:
    assert freshness(answer(**headers)) == browser
    assert freshness(answer(**headers), shared=True) == cdn


@pytest.mark.parametrize(
    ("headers", "hit"),
    [
        ({"x_cache": "HIT"}, True),
        ({"x_cache": "Hit from cloudfront"}, True),
        ({"x_cache": "Miss from cloudfront"}, False),
        ({"x_cache": "RefreshHit from cloudfront"}, True),
        ({"x_cache": "MISS, HIT"}, True),
        ({"x_cache": "TCP_MISS from a23"}, False),
        ({"x_cache": "TCP_HIT from a23"}, True),
        ({"cf_cache_status": "DYNAMIC"}, False),
        ({"cf_cache_status": "REVALIDATED"}, True),
        ({"cache_status": "OriginCache; hit; ttl=1100, EdgeCache; fwd=miss"}, True),
        ({"cache_status": "EdgeCache; fwd=uri-miss; stored"}, False),
        ({"server_timing": "cdn-cache; desc=HIT, edge; dur=1"}, True),
        ({"server_timing": "cdn-cache; desc=MISS"}, False),
        ({"age": "12"}, True),
        ({"age": "0"}, None),
        ({}, None),
        ({"x_cache": "MISS", "age": "0"}, False),
    ],
)
def test_caches_tell_in_their_own_words_whether_they_held_it(
    headers: dict[str, str], hit: bool | None
) -> None:
    assert was_hit(answer(**headers)) is hit


def test_a_header_of_ones_own_tells_too() -> None:
    assert was_hit(answer(x_shop_cache="HIT"), ["X-Shop-Cache"]) is True


@pytest.mark.parametrize(
    ("name", "hashed"),
    [
        ("main.3f2a9b1c.js", True),
        ("main.3f2a9b1c.chunk.js", True),
        ("index-DiwrgTd4.js", True),
        ("index-D_wr-Td4.js", True),
        ("hero-iPhone15.jpg", False),
        ("hero-iPhone15Pro.jpg", False),
        ("team-Summer-Photo1.jpg", False),
        ("flyer-PRODUCT1.pdf", False),
        ("chunk-3YOL2KQM.js", True),
        ("app-9a0364b9e99bb480dd25e1f0284c8555.min.css", True),
        ("logo.3f2a9b1c.js.map", True),
        ("app.js", False),
        ("jquery-bootstrap.js", False),
        ("jquery-3.7.1.min.js", False),
        ("banner-1920x1080.png", False),
        ("report-20260302.pdf", False),
        ("font-OpenSansRegular.woff2", False),
        ("app.js?v=3f2a9b1c", False),
    ],
)
def test_names_with_a_hash_of_the_content_are_told_from_others(name: str, hashed: bool) -> None:
    assert names_its_content(f"https://shop.example.com/assets/{name}") is hashed


def test_the_files_of_a_page_are_found_in_order_and_once() -> None:
    html = """
      <base href="/shop/"><link rel="stylesheet" href="a.css"><link rel=canonical href="/shop/">
      <link rel="shortcut icon" href="https://cdn.example.com/i.png"><script src="b.js#x"></script>
      <script src="b.js"></script><img src="data:image/png;base64,AAAA"><img src=""><script>inline()</script>
    """
    assert linked_assets(html, "https://shop.example.com/") == [
        "https://shop.example.com/shop/a.css",
        "https://cdn.example.com/i.png",
        "https://shop.example.com/shop/b.js",
    ]
