"""The kinds `page.*` against a real server on loopback."""

from __future__ import annotations

import io
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from bot.domain.check import Outcome
from tests.checking import examine, make_context
from tests.servers.site import Site, serve_site

#: Minified code that does not compress away to nothing.
NOISE = random.Random(7)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serve_site() as site:
        yield site


def code(size: int) -> str:
    """JavaScript of about this many bytes, minified, hard to compress."""
    words = (f"a{NOISE.getrandbits(40):x}={NOISE.getrandbits(48)};" for _ in range(size // 26 + 1))
    return "".join(words)[:size]


def written(size: int) -> str:
    """JavaScript as people write it."""
    return "// Adds an article to the basket.\nfunction add(article) {\n    basket.push(article);\n}\n\n" * (
        size // 85 + 1
    )


def photo(width: int, height: int, form: str = "JPEG", **settings: object) -> bytes:
    """A picture with soft colours, as a camera makes it."""
    noise = Image.effect_noise((max(width // 8, 1), max(height // 8, 1)), 60).resize((width, height))
    picture = Image.merge("RGB", [noise, noise.rotate(90).resize((width, height)), noise])
    out = io.BytesIO()
    picture.save(out, form, **settings)
    return out.getvalue()


def icon(edge: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (edge, edge), "navy").save(out, "PNG")
    return out.getvalue()


# ── page.seo ─────────────────────────────────────────────────────────────────────────────────────────────

FOUND = (
    "<title>Shop</title><meta name=description content='Shoes and hats'>"
    "<meta property=og:title content=Shop><meta property=og:type content=website>"
    "<meta property=og:image content=/a.png><meta property=og:url content=/>"
)


def with_robots(site: Site) -> None:
    site.put("/robots.txt", f"User-agent: *\nDisallow: /admin\nSitemap: {site.url}/sitemap.xml\n")
    site.put("/sitemap.xml", '<?xml version="1.0"?><urlset xmlns="x"><url/></urlset>')


async def test_a_page_with_all_tags_passes(site: Site) -> None:
    with_robots(site)
    seen = await examine("page.seo", {"url": site.page(head=FOUND + "<link rel=canonical href=/>")})
    assert seen.outcome is Outcome.PASS
    assert "“Shop”" in seen.observed


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (FOUND.replace("<title>Shop</title>", "<title> </title>"), "untitled"),
        (FOUND.replace("name=description", "name=other"), "undescribed"),
        (FOUND + "<meta name=ROBOTS content='follow, NoIndex'>", "noindex"),
        (FOUND + "<meta name=robots content=none>", "noindex"),
        (FOUND + "<link rel=canonical href=https://staging.shop.example/>", "foreign_canonical"),
    ],
)
async def test_a_page_that_cannot_be_found_well_fails(site: Site, head: str, name: str) -> None:
    with_robots(site)
    seen = await examine("page.seo", {"url": site.page(head=head)})
    assert seen.outcome is Outcome.FAIL
    assert seen.reason.startswith(f"{name} is 1")


async def test_a_noindex_header_fails_though_the_page_says_nothing(site: Site) -> None:
    with_robots(site)
    url = site.page(head=FOUND, headers={"X-Robots-Tag": "unavailable_after: 25 Jun 2030 15:00:00, noindex"})
    assert (await examine("page.seo", {"url": url})).outcome is Outcome.FAIL


async def test_a_noindex_for_some_other_robot_passes(site: Site) -> None:
    with_robots(site)
    url = site.page(head=FOUND, headers={"X-Robots-Tag": "imagebot: noindex"})
    assert (await examine("page.seo", {"url": url})).outcome is Outcome.PASS


async def test_the_robots_txt_of_staging_in_production_fails(site: Site) -> None:
    with_robots(site)
    site.put("/robots.txt", "User-agent: *\nDisallow: /\n")
    seen = await examine("page.seo", {"url": site.page(head=FOUND)})
    assert seen.outcome is Outcome.FAIL
    assert "robots_forbids_all" in seen.reason


async def test_the_second_page_counts_too(site: Site) -> None:
    with_robots(site)
    site.page(path="/shoes", head="<title>Shoes</title>")
    seen = await examine("page.seo", {"url": site.page(head=FOUND), "also": ["/shoes"]})
    assert seen.outcome is Outcome.FAIL
    assert seen.values["undescribed"] == 1


async def test_a_page_served_in_place_of_robots_txt_and_sitemap_warns(site: Site) -> None:
    url = site.page(head=FOUND)
    site.fallback = "/"
    seen = await examine("page.seo", {"url": url})
    assert seen.outcome is Outcome.WARN
    assert seen.values["robots_txt"] is False
    assert seen.values["sitemap"] is False


async def test_a_missing_page_fails(site: Site) -> None:
    seen = await examine("page.seo", {"url": f"{site.url}/gone"})
    assert seen.outcome is Outcome.FAIL
    assert "404" in seen.reason


async def test_a_redirect_is_an_error_that_names_where_to(site: Site) -> None:
    url = site.page(status=302, headers={"Location": "/login"})
    seen = await examine("page.seo", {"url": url})
    assert seen.outcome is Outcome.ERROR
    assert f"{site.url}/login" in seen.reason


# ── page.assets ──────────────────────────────────────────────────────────────────────────────────────────


async def test_compressed_and_minified_assets_pass(site: Site) -> None:
    site.put("/app.js", code(40_000))
    site.put("/app.css", ".a{color:red}" * 2000)
    seen = await examine(
        "page.assets",
        {"url": site.page(head="<script src=/app.js></script><link rel=stylesheet href=/app.css>")},
    )
    assert seen.outcome is Outcome.PASS
    assert seen.values["files"] == 3


async def test_an_uncompressed_script_over_ten_kilobytes_fails(site: Site) -> None:
    site.put("/app.js", code(40_000), compressed=False)
    seen = await examine("page.assets", {"url": site.page(head="<script src=/app.js></script>")})
    assert seen.outcome is Outcome.FAIL
    assert seen.values["largest_uncompressed_bytes"] == 40_000


async def test_a_server_that_knows_only_brotli_is_not_called_uncompressed(site: Site) -> None:
    site.put("/app.js", code(40_000), compressed=False)
    url = site.page(head="<script src=/app.js></script>")

    def brotli(request):  # type: ignore[no-untyped-def]
        from aiohttp import web  # noqa: PLC0415

        if request.path == "/app.js" and "br" in request.headers["Accept-Encoding"].split(", "):
            return web.Response(body=b"packed", headers={"Content-Encoding": "br"})
        return None

    site.handler = brotli
    assert (await examine("page.assets", {"url": url})).outcome is Outcome.PASS


async def test_a_style_that_is_imported_counts(site: Site) -> None:
    site.put("/app.css", '@import "parts.css";')
    site.put("/parts.css", ".a{color:red}" * 2000, compressed=False)
    seen = await examine("page.assets", {"url": site.page(head="<link rel=stylesheet href=/app.css>")})
    assert seen.outcome is Outcome.FAIL


async def test_a_script_as_people_write_it_warns(site: Site) -> None:
    site.put("/app.js", written(40_000))
    seen = await examine("page.assets", {"url": site.page(head="<script src=/app.js></script>")})
    assert seen.outcome is Outcome.WARN
    assert seen.values["unminified"] == 1


async def test_a_script_that_is_not_there_fails(site: Site) -> None:
    seen = await examine("page.assets", {"url": site.page(head="<script src=/gone.js></script>")})
    assert seen.outcome is Outcome.FAIL
    assert "gone.js: answers 404" in seen.excerpt


async def test_the_page_served_in_place_of_a_script_fails(site: Site) -> None:
    url = site.page(head="<script src=/old-hash.js></script>")
    site.fallback = "/"
    seen = await examine("page.assets", {"url": url})
    assert seen.outcome is Outcome.FAIL
    assert "is an HTML page instead of a script" in seen.excerpt


async def test_assets_that_are_all_on_hosts_not_allowed_are_unknown(site: Site) -> None:
    url = site.page(head="<script src=http://198.51.100.7/app.js></script>")
    seen = await examine("page.assets", {"url": url})
    assert seen.outcome is Outcome.UNKNOWN


async def test_one_asset_on_a_host_not_allowed_warns(site: Site) -> None:
    site.put("/app.js", code(4000))
    url = site.page(head="<script src=/app.js></script><script src=http://198.51.100.7/count.js></script>")
    seen = await examine("page.assets", {"url": url})
    assert seen.outcome is Outcome.WARN
    assert "1 not looked at" in seen.observed


# ── page.images ──────────────────────────────────────────────────────────────────────────────────────────


async def test_images_that_are_small_already_pass(site: Site) -> None:
    site.put("/a.jpg", photo(400, 300, quality=70))
    seen = await examine("page.images", {"url": site.page("<img src=/a.jpg width=400>")})
    assert seen.outcome is Outcome.PASS
    assert seen.values["images"] == 1


async def test_a_photograph_kept_as_png_fails(site: Site) -> None:
    site.put("/a.png", photo(600, 400, "PNG"))
    seen = await examine("page.images", {"url": site.page("<img src=/a.png>")})
    assert seen.outcome is Outcome.FAIL
    assert "largest_saving_share" in seen.reason


async def test_an_image_over_a_megabyte_fails_whatever_its_format(site: Site) -> None:
    site.put("/a.webp", photo(3000, 2200, "WEBP", quality=99), headers={"Content-Type": "image/webp"})
    assert len(site.files["/a.webp"].body) > 1_000_000
    seen = await examine("page.images", {"url": site.page("<img src=/a.webp>")})
    assert seen.outcome is Outcome.FAIL
    assert "largest_bytes" in seen.reason


async def test_an_image_in_a_style_counts(site: Site) -> None:
    site.put("/img/a.png", photo(600, 400, "PNG"))
    site.put("/css/app.css", "body{background:url('../img/a.png')}")
    url = site.page(head="<link rel=stylesheet href=/css/app.css>")
    assert (await examine("page.images", {"url": url})).outcome is Outcome.FAIL


async def test_an_image_far_wider_than_shown_warns(site: Site) -> None:
    site.put("/a.jpg", photo(900, 600, quality=60))
    seen = await examine("page.images", {"url": site.page("<img src=/a.jpg width=200>")})
    assert seen.outcome is Outcome.WARN
    assert "oversized" in seen.reason


async def test_a_tiny_icon_is_not_worth_a_word(site: Site) -> None:
    site.put("/a.png", photo(48, 48, "PNG"))
    assert (await examine("page.images", {"url": site.page("<img src=/a.png>")})).outcome is Outcome.PASS


async def test_a_page_without_images_is_unknown(site: Site) -> None:
    assert (await examine("page.images", {"url": site.page("text")})).outcome is Outcome.UNKNOWN


async def test_bytes_that_are_no_image_fail(site: Site) -> None:
    site.put("/a.png", b"\x89PNG\r\n\x1a\nbroken")
    seen = await examine("page.images", {"url": site.page("<img src=/a.png>")})
    assert seen.outcome is Outcome.FAIL
    assert "is no image" in seen.excerpt


# ── page.budget ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_bundle_within_its_budget_passes(site: Site) -> None:
    site.put("/app.js", code(60_000))
    url = site.page(head="<script type=module src=/app.js></script>")
    seen = await examine("page.budget", {"url": url, "js_kb": 60})
    assert seen.outcome is Outcome.PASS
    assert 20_000 < seen.values["js_gzip_bytes"] < 60_000


async def test_a_bundle_over_its_budget_fails_however_it_is_split(site: Site) -> None:
    site.put("/a.js", code(60_000))
    site.put("/b.js", code(60_000))
    url = site.page(head="<script src=/a.js></script><link rel=modulepreload href=/b.js>")
    seen = await examine("page.budget", {"url": url, "js_kb": 40})
    assert seen.outcome is Outcome.FAIL


async def test_inline_scripts_count(site: Site) -> None:
    url = site.page(f"<script>{code(90_000)}</script>")
    assert (await examine("page.budget", {"url": url, "js_kb": 20})).outcome is Outcome.FAIL


async def test_data_blocks_and_scripts_for_old_browsers_do_not_count(site: Site) -> None:
    site.put("/old.js", code(90_000))
    url = site.page(
        f"<script type=application/ld+json>{code(90_000)}</script><script nomodule src=/old.js></script>"
        "<script>boot()</script>"
    )
    assert (await examine("page.budget", {"url": url, "js_kb": 1})).outcome is Outcome.PASS


async def test_six_percent_more_than_the_last_release_warns(site: Site) -> None:
    site.put("/app.js", code(60_000))
    url = site.page(head="<script src=/app.js></script>")
    now = (await examine("page.budget", {"url": url})).values["js_gzip_bytes"]
    grown = await examine("page.budget", {"url": url, "baseline_js_bytes": round(now / 1.06)})
    assert grown.outcome is Outcome.WARN
    same = await examine("page.budget", {"url": url, "baseline_js_bytes": now})
    assert same.outcome is Outcome.PASS


async def test_a_page_without_javascript_is_unknown(site: Site) -> None:
    assert (await examine("page.budget", {"url": site.page("text")})).outcome is Outcome.UNKNOWN


# ── page.chunks ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_split_build_passes_by_what_its_scripts_import(site: Site) -> None:
    site.put("/assets/app.js", code(80_000) + ';import("./basket.js");import("./search.js")')
    site.put("/assets/basket.js", code(70_000))
    site.put("/assets/search.js", code(50_000))
    seen = await examine("page.chunks", {"url": site.page(head="<script src=/assets/app.js></script>")})
    assert seen.outcome is Outcome.PASS
    assert seen.values["js_files"] == 3
    assert seen.values["initial_share"] == pytest.approx(0.4, abs=0.02)


async def test_one_file_with_everything_fails(site: Site) -> None:
    site.put("/app.js", code(200_000))
    seen = await examine("page.chunks", {"url": site.page(head="<script src=/app.js></script>")})
    assert seen.outcome is Outcome.FAIL


async def test_a_little_javascript_need_not_be_split(site: Site) -> None:
    site.put("/app.js", code(20_000))
    seen = await examine("page.chunks", {"url": site.page(head="<script src=/app.js></script>")})
    assert seen.outcome is Outcome.PASS
    assert seen.values["largest_share"] == 1.0


async def test_chunks_that_cannot_be_read_from_the_page_are_unknown(site: Site) -> None:
    site.put("/app.js", code(200_000) + ";self.webpackChunkshop=[]")
    seen = await examine("page.chunks", {"url": site.page(head="<script src=/app.js></script>")})
    assert seen.outcome is Outcome.UNKNOWN
    assert "manifest" in seen.reason


async def test_the_manifest_of_vite_is_read_from_the_site(site: Site) -> None:
    entries = {
        "index.html": {"file": "assets/app-1.js", "isEntry": True, "imports": ["_shared.js"]},
        "_shared.js": {"file": "assets/shared-2.js"},
        "src/basket.js": {"file": "assets/basket-3.js", "isDynamicEntry": True, "css": ["assets/b.css"]},
    }
    site.put("/.vite/manifest.json", json.dumps(entries))
    for name, size in (("app-1", 30_000), ("shared-2", 50_000), ("basket-3", 120_000)):
        site.put(f"/assets/{name}.js", code(size))
    seen = await examine("page.chunks", {"url": site.page(), "manifest": "/.vite/manifest.json"})
    assert seen.outcome is Outcome.PASS
    assert seen.values["largest_share"] == pytest.approx(0.6, abs=0.01)
    assert seen.values["initial_share"] == pytest.approx(0.4, abs=0.01)


async def test_a_manifest_that_names_files_the_site_lacks_fails(site: Site) -> None:
    site.put("/manifest.json", json.dumps({"app.js": "/app-1.js", "other.js": "/other-2.js"}))
    site.put("/app-1.js", code(2000))
    seen = await examine("page.chunks", {"url": site.page(), "manifest": "/manifest.json"})
    assert seen.outcome is Outcome.FAIL
    assert "broken_files" in seen.reason


async def test_the_stats_of_webpack_are_read_from_the_disk(site: Site, tmp_path: Path) -> None:
    stats = {
        "assets": [{"name": "main.js", "size": 900_000}, {"name": "lazy.js", "size": 50_000}],
        "entrypoints": {"main": {"assets": [{"name": "main.js"}]}},
    }
    (tmp_path / "stats.json").write_text(json.dumps(stats))
    seen = await examine(
        "page.chunks",
        {"url": site.page(), "manifest": "file:stats.json"},
        context=make_context(root=tmp_path),
    )
    assert seen.outcome is Outcome.FAIL
    assert seen.values["initial_share"] == pytest.approx(0.947, abs=0.001)


async def test_a_manifest_that_is_none_is_an_error(site: Site) -> None:
    site.put("/manifest.json", "[]")
    seen = await examine("page.chunks", {"url": site.page(), "manifest": "/manifest.json"})
    assert seen.outcome is Outcome.ERROR


async def test_a_manifest_outside_the_root_is_an_error(site: Site, tmp_path: Path) -> None:
    context = make_context(root=tmp_path)
    seen = await examine("page.chunks", {"url": site.page(), "manifest": "file:../../etc/x"}, context=context)
    assert seen.outcome is Outcome.ERROR


# ── page.pwa ─────────────────────────────────────────────────────────────────────────────────────────────

APP = {
    "name": "Shop",
    "start_url": "/",
    "display": "standalone",
    "icons": [
        {"src": "/192.png", "sizes": "192x192", "type": "image/png"},
        {"src": "/512.png", "sizes": "512x512", "type": "image/png"},
    ],
}
INSTALLS = (
    "<link rel=manifest href=/app.webmanifest><script>navigator.serviceWorker.register('/sw.js')</script>"
)


def as_app(site: Site, **changed: object) -> str:
    site.put("/app.webmanifest", json.dumps(APP | changed))
    site.put("/192.png", icon(192))
    site.put("/512.png", icon(512))
    site.put("/sw.js", "self.onfetch=()=>{}")
    return site.page(head=INSTALLS)


async def test_an_app_that_can_be_installed_passes(site: Site) -> None:
    seen = await examine("page.pwa", {"url": as_app(site)})
    assert seen.outcome is Outcome.PASS
    assert "/sw.js" in seen.observed


async def test_a_manifest_without_display_fails(site: Site) -> None:
    seen = await examine("page.pwa", {"url": as_app(site, display="browser")})
    assert seen.outcome is Outcome.FAIL
    assert seen.values["missing"] == ["display"]


async def test_an_icon_that_does_not_come_fails(site: Site) -> None:
    url = as_app(site)
    del site.files["/512.png"]
    seen = await examine("page.pwa", {"url": url})
    assert seen.outcome is Outcome.FAIL
    assert seen.values["icon_512"] is False


async def test_an_icon_smaller_than_it_says_fails(site: Site) -> None:
    url = as_app(site)
    site.put("/512.png", icon(64))
    assert (await examine("page.pwa", {"url": url})).outcome is Outcome.FAIL


async def test_the_page_served_in_place_of_an_icon_fails(site: Site) -> None:
    url = as_app(site)
    del site.files["/512.png"]
    site.fallback = "/"
    assert (await examine("page.pwa", {"url": url})).outcome is Outcome.FAIL


async def test_a_page_without_a_manifest_fails(site: Site) -> None:
    seen = await examine("page.pwa", {"url": site.page("shop")})
    assert seen.outcome is Outcome.FAIL
    assert seen.values["manifest"] is None


async def test_the_page_served_in_place_of_the_manifest_fails(site: Site) -> None:
    url = as_app(site)
    del site.files["/app.webmanifest"]
    site.fallback = "/"
    assert (await examine("page.pwa", {"url": url})).outcome is Outcome.FAIL


async def test_an_app_without_a_service_worker_warns(site: Site) -> None:
    url = as_app(site)
    del site.files["/sw.js"]
    seen = await examine("page.pwa", {"url": url})
    assert seen.outcome is Outcome.WARN


async def test_a_manifest_on_a_host_not_allowed_is_an_error(site: Site) -> None:
    url = site.page(head="<link rel=manifest href=http://198.51.100.7/app.webmanifest>")
    assert (await examine("page.pwa", {"url": url})).outcome is Outcome.ERROR
