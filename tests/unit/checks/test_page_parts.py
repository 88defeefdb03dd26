"""What is read of pages, scripts, builds, manifests and pictures without fetching anything."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.checks.assets import is_text, is_unminified, superfluous_bytes
from bot.checks.bundles import NoManifest, hides_its_chunks, imports_of, read_manifest
from bot.checks.crawling import Role, css_images, css_imports, read
from bot.checks.images import dimensions, weigh
from bot.checks.kind import Answer
from bot.checks.seo import forbids_all, is_robots_txt, is_sitemap, sitemaps
from bot.checks.webmanifest import icons_of, missing_fields


def answer(html: str) -> Answer:
    return Answer(
        status=200, headers={}, body=html.encode(), truncated=False, url="https://shop.example/a/b",
        http_version="HTTP/1.1", wire_bytes=0, ms=0, first_byte_ms=0, peer="",
    )  # fmt: skip


def urls(html: str, *roles: Role) -> list[str]:
    return [one.url for one in read(answer(html)).of(*roles)]


def test_files_are_named_relative_to_the_page_and_its_base() -> None:
    assert urls("<script src=c.js></script>", Role.SCRIPT) == ["https://shop.example/a/c.js"]
    based = "<base href=/static/><script src=c.js></script>"
    assert urls(based, Role.SCRIPT) == ["https://shop.example/static/c.js"]


def test_what_no_browser_loads_first_is_not_named() -> None:
    html = (
        "<noscript><img src=n.png></noscript><template><img src=t.png></template><img src='data:image/png,x'>"
        "<script type=text/template src=t.js></script><link rel=prefetch as=script href=p.js>"
        "<link rel='alternate stylesheet' href=night.css><script nomodule src=old.js></script>"
    )
    assert read(answer(html)).references == ()


def test_every_candidate_of_a_srcset_is_named_once() -> None:
    html = "<img src=a.png srcset='a.png 1x, b.png 2x' width=100><picture><source srcset=c.webp></picture>"
    found = read(answer(html)).references
    assert [one.url.rpartition("/")[2] for one in found] == ["a.png", "b.png", "c.webp"]
    assert all(one.shown_width is None for one in found)


def test_preloads_count_by_what_they_are_for() -> None:
    html = "<link rel=preload as=font href=f.woff2 crossorigin><link rel=modulepreload href=m.js>"
    assert [one.role for one in read(answer(html)).references] == [Role.FONT, Role.SCRIPT]


def test_styles_name_images_and_other_styles() -> None:
    css = "@import url('reset.css'); .a{background:url( \"img/a.png\" )} .b{src:url(font.woff2)}"
    assert css_imports(css, "https://shop.example/css/app.css") == ["https://shop.example/css/reset.css"]
    assert [one.url for one in css_images(css, "https://shop.example/css/app.css")] == [
        "https://shop.example/css/img/a.png"
    ]


# ── minification ─────────────────────────────────────────────────────────────────────────────────────────


def test_code_as_people_write_it_is_unminified() -> None:
    assert is_unminified("function a() {\n        return 1; \n}\n\n" * 300)
    assert is_unminified("/* what it is for */\n.a {\n    color: red;\n}\n" * 200)


@pytest.mark.parametrize(
    "code",
    [
        "fetch('/api',{headers:{Accept:'*/*'}});" * 300 + "x='*/*'",
        "/*! licence */\n" * 300 + "a=1",
        "/** @license MIT */\n" * 300 + "a=1",
        "a=1;" * 2000,
        "//# sourceMappingURL=app.js.map\n" * 200,
    ],
)
def test_minified_code_is_not_called_unminified(code: str) -> None:
    assert not is_unminified(code)


@given(st.text())
def test_superfluous_bytes_are_never_more_than_there_are(code: str) -> None:
    code = code.encode("utf-8", "replace").decode()
    assert 0 <= superfluous_bytes(code) <= len(code.encode())


@pytest.mark.parametrize("media", ["text/html; charset=utf-8", "application/javascript", "image/svg+xml"])
def test_text_is_worth_compressing(media: str) -> None:
    assert is_text(media)


@pytest.mark.parametrize("media", ["image/png", "font/woff2", "application/zip", ""])
def test_what_is_compressed_already_is_not(media: str) -> None:
    assert not is_text(media)


# ── robots and sitemaps ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "robots",
    [
        "User-agent: *\nDisallow: /",
        "user-agent: *\ndisallow: /*  # staging",
        "User-agent: Googlebot\nUser-agent: Bingbot\nDisallow: /\n\nUser-agent: *\nDisallow:",
        "User-agent: a\nDisallow: /x\nUser-agent: *\nDisallow: /admin\nDisallow: /",
    ],
)
def test_a_robots_txt_that_keeps_everybody_out_is_seen(robots: str) -> None:
    assert forbids_all(robots)


@pytest.mark.parametrize(
    "robots",
    [
        "User-agent: *\nDisallow:",
        "User-agent: *\nDisallow: /admin",
        "User-agent: BadBot\nDisallow: /\n\nUser-agent: *\nAllow: /",
        "User-agent: *\nDisallow: /\nAllow: /",
        "",
    ],
)
def test_a_robots_txt_that_keeps_some_out_is_fine(robots: str) -> None:
    assert not forbids_all(robots)


def test_sitemaps_are_told_from_pages() -> None:
    assert is_sitemap('\ufeff<?xml version="1.0"?>\n<urlset xmlns="x">')
    assert is_sitemap("https://shop.example/\nhttps://shop.example/a")
    assert not is_sitemap("<!doctype html><html>")
    assert not is_sitemap("")


def test_a_robots_txt_is_told_from_a_page_and_names_its_sitemaps() -> None:
    assert is_robots_txt("User-agent: *\nAllow: /", "text/plain")
    assert not is_robots_txt("<!doctype html> User-agent: x", "text/plain")
    assert not is_robots_txt("User-agent: *", "text/html")
    assert sitemaps("Sitemap: https://a/s.xml\nsitemap:https://a/t.xml") == [
        "https://a/s.xml",
        "https://a/t.xml",
    ]


# ── builds ───────────────────────────────────────────────────────────────────────────────────────────────


def test_chunks_are_found_as_imports_and_in_the_list_of_vite() -> None:
    code = (
        'const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["assets/a-1.js","assets/a.css"])))=>i;'
        'import{x}from"./b-2.js";const p=()=>import("./c-3.js")'
    )
    assert imports_of(code) == ["./c-3.js", "./b-2.js", "assets/a-1.js"]
    assert not hides_its_chunks(code)


def test_the_run_time_of_webpack_hides_its_chunks() -> None:
    assert hides_its_chunks("(self.webpackChunkshop=self.webpackChunkshop||[]).push([[1]])")


def test_a_flat_manifest_is_read_with_its_entry_points() -> None:
    data = {"files": {"main.js": "/static/main.1.js", "x.css": "/x.css"}, "entrypoints": ["static/main.1.js"]}
    (bundle,) = read_manifest(data)
    assert (bundle.name, bundle.initial) == ("/static/main.1.js", True)


@pytest.mark.parametrize("data", [[], {}, {"name": "Shop", "icons": []}, {"files": {"a": "a.css"}}])
def test_what_names_no_javascript_is_no_manifest(data: object) -> None:
    with pytest.raises(NoManifest):
        read_manifest(data)


# ── app manifests and pictures ───────────────────────────────────────────────────────────────────────────


def test_a_manifest_lacks_what_is_empty_or_of_no_use() -> None:
    assert missing_fields({}) == ["name", "start_url", "display", "icons"]
    assert missing_fields({"name": " ", "start_url": "/", "display": "browser", "icons": [1]}) == [
        "name",
        "display",
    ]
    whole = {"short_name": "Shop", "start_url": "/", "display_override": ["standalone"], "icons": [1]}
    assert missing_fields(whole) == []


def test_a_maskable_icon_alone_does_not_count() -> None:
    icons = [{"src": "m.png", "purpose": "maskable"}, {"src": "a.png", "purpose": "any maskable"}]
    found = icons_of({"icons": icons}, "https://shop.example/app/m.json")
    assert [icon.url for icon in found] == ["https://shop.example/app/a.png"]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "ICO"])
def test_dimensions_are_read_from_the_first_bytes(form: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (96, 96), "navy").save(out, form, **({"sizes": [(96, 96)]} if form == "ICO" else {}))
    assert dimensions(out.getvalue()) == (96, 96)


@given(st.binary(max_size=64))
def test_bytes_that_are_no_picture_break_nothing(content: bytes) -> None:
    dimensions(b"\x89PNG\r\n\x1a\n" + content)
    dimensions(b"RIFF....WEBP" + content)
    dimensions(b"\xff\xd8" + content)
    dimensions(b"\x00\x00\x01\x00" + content)
    dimensions(b"GIF89a" + content)
    assert weigh(content) is None
