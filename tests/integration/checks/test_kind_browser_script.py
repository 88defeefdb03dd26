"""The kind `browser.script`: journeys through a small site in a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import ValidationError

from bot.checks.catalogue import Catalogue
from bot.domain.check import Evidence, Outcome, Secret
from tests.checking import examine, make_context
from tests.servers.site import Site, serve_site

#: A list that shows a skeleton while it loads, and, where it is told to, an error in place of a blank page.
LIST = """
<main></main>
<script>
  const main = document.querySelector("main");
  const late = %d, guarded = %s;
  const skeleton = () => { main.innerHTML = "<p class=skeleton style='height:20px;background:silver'></p>"; };
  late ? setTimeout(skeleton, late) : skeleton();
  fetch("/api/articles").then(answer => answer.json()).then(articles => {
    main.innerHTML = articles.map(article => `<p class=article>${article.name}</p>`).join("");
  }).catch(error => { main.innerHTML = guarded ? "<p>Something went wrong. Try again.</p>" : ""; });
</script>
"""


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serve_site() as site:
        site.put("/api/articles", '[{"name": "Red shoes"}]', headers={"Content-Type": "application/json"})
        yield site


async def play(url: str, steps: list[object], **more: object) -> Evidence:
    passed = {name: more.pop(name) for name in ("context", "secrets", "fail", "expect") if name in more}
    return await examine(
        "browser.script",
        {"url": url, "steps": steps, "step_timeout": "2s", **more},
        **passed,  # type: ignore[arg-type]
    )


async def test_a_journey_that_works_passes(site: Site) -> None:
    url = site.page(LIST % (0, "true"))
    seen = await play(url, [{"goto": "/"}, {"expect_text": "red SHOES"}, {"expect_gone": ".skeleton"}])
    assert seen.outcome is Outcome.PASS
    assert seen.values["steps_done"] == 3
    assert "expect_text" in seen.excerpt


async def test_a_text_that_is_missing_fails_and_names_the_step(site: Site) -> None:
    seen = await play(site.page("<h1>Shop</h1>"), [{"goto": "/"}, {"expect_text": "Welcome, Ana"}])
    assert seen.outcome is Outcome.FAIL
    assert seen.values["failed_step"] == 2
    assert "step 2 (expect_text “Welcome, Ana”): the text is not on the page" in seen.observed


async def test_an_error_page_fails_though_its_text_is_there(site: Site) -> None:
    seen = await play(site.page("Shop", status=503), [{"goto": "/"}, {"expect_text": "Shop"}])
    assert seen.outcome is Outcome.FAIL
    assert "answers 503" in seen.observed


async def test_logging_in_with_a_secret_leaves_no_trace_of_it(site: Site) -> None:
    secret = Secret("password", "correct horse battery")

    def log_in(request: web.Request) -> web.StreamResponse | None:
        if request.path == "/account":
            known = request.query.get("password") == secret.reveal()
            return web.Response(text="Hello Ana" if known else "Wrong password", content_type="text/html")
        return None

    site.handler = log_in
    url = site.page("<form action=/account><input name=password><button>Log in</button></form>")
    fill = {"selector": "input", "value": secret}
    steps: list[object] = [{"goto": "/"}, {"fill": fill}, {"click": "button"}, {"expect_text": "Hello Ana"}]
    seen = await play(url, steps, secrets=[secret])
    assert seen.outcome is Outcome.PASS
    lost = {"selector": "#gone", "value": secret}
    failed = await play(url, [{"goto": "/"}, {"fill": lost}, {"expect_text": "x"}], secrets=[])
    assert failed.outcome is Outcome.FAIL
    assert "horse" not in repr(failed)


async def test_a_page_with_an_error_boundary_passes_the_injected_failure(site: Site) -> None:
    url = site.page(LIST % (0, "true"))
    steps: list[object] = [
        {"block_request": {"url": "**/api/articles"}},
        {"goto": "/"},
        {"expect_not_blank": True},
        {"expect_text": "Something went wrong"},
    ]
    assert (await play(url, steps)).outcome is Outcome.PASS


@pytest.mark.parametrize("status", [None, 500])
async def test_a_page_that_goes_blank_after_an_injected_failure_fails(site: Site, status: int | None) -> None:
    url = site.page((LIST % (0, "false")).replace("answer.json()", "answer.ok ? answer.json() : null"))
    steps: list[object] = [
        {"block_request": {"url": "**/api/articles", "status": status}},
        {"goto": "/"},
        {"expect_gone": ".skeleton"},
        {"expect_not_blank": True},
    ]
    seen = await play(url, steps)
    assert seen.outcome is Outcome.FAIL
    assert "the page is blank" in seen.observed


async def test_a_failure_that_no_request_met_is_unknown(site: Site) -> None:
    url = site.page(LIST % (0, "true"))
    steps: list[object] = [
        {"block_request": {"url": "**/api/renamed"}},
        {"goto": "/"},
        {"expect_not_blank": True},
    ]
    seen = await play(url, steps)
    assert seen.outcome is Outcome.UNKNOWN
    assert "**/api/renamed" in seen.reason


SKELETON: list[object] = [
    {"delay_request": {"url": "**/api/articles", "by": "1s"}},
    {"goto": "/"},
    {"expect_selector": {"selector": ".skeleton", "within": "300ms"}},
    {"expect_selector": ".article"},
]


async def test_a_skeleton_that_is_there_at_once_passes(site: Site) -> None:
    assert (await play(site.page(LIST % (0, "true")), SKELETON)).outcome is Outcome.PASS


async def test_a_skeleton_that_comes_late_fails(site: Site) -> None:
    seen = await play(site.page(LIST % (700, "true")), SKELETON)
    assert seen.outcome is Outcome.FAIL
    assert "not within 300 ms" in seen.observed


async def test_a_page_that_shows_nothing_while_it_loads_fails(site: Site) -> None:
    seen = await play(site.page((LIST % (0, "true")).replace("skeleton();", ";")), SKELETON)
    assert seen.outcome is Outcome.FAIL


async def test_time_after_a_click_is_counted_from_the_click(site: Site) -> None:
    url = site.page(
        "<button onclick=\"setTimeout(() => document.body.append(Object.assign(document.createElement('b'),"
        " {className: 'done', textContent: 'ok'})), 100)\">Go</button>"
    )
    steps: list[object] = [
        {"goto": "/"},
        {"wait": "800ms"},
        {"click": "button"},
        {"expect_selector": {"selector": ".done", "within": "700ms"}},
    ]
    assert (await play(url, steps)).outcome is Outcome.PASS


CHART = "<canvas width=200 height=100></canvas><script>const pencil = document.querySelector('canvas').getContext('2d'); %s</script>"


async def test_a_chart_that_is_drawn_passes(site: Site) -> None:
    url = site.page(CHART % "setTimeout(() => pencil.fillRect(20, 20, 50, 70), 300)")
    assert (await play(url, [{"goto": "/"}, {"expect_drawing": "canvas"}])).outcome is Outcome.PASS


async def test_an_empty_chart_fails(site: Site) -> None:
    seen = await play(site.page(CHART % ""), [{"goto": "/"}, {"expect_drawing": "canvas"}])
    assert seen.outcome is Outcome.FAIL
    assert "nothing is drawn" in seen.observed


@pytest.mark.parametrize(
    ("marks", "outcome"),
    [
        ("<rect x=10 y=10 width=30 height=60 />", Outcome.PASS),
        ("<g class=x-axis><line x1=0 y1=90 x2=200 y2=90 /></g>", Outcome.FAIL),
        ("<path d='' />", Outcome.FAIL),
    ],
)
async def test_axes_alone_are_no_drawing(site: Site, marks: str, outcome: Outcome) -> None:
    url = site.page(f"<svg width=200 height=100>{marks}</svg>")
    assert (await play(url, [{"goto": "/"}, {"expect_drawing": "svg"}])).outcome is outcome


async def test_console_errors_fail_where_none_are_expected(site: Site) -> None:
    url = site.page("<h1>Shop</h1><script>console.error('no data'); throw new Error('chart broke')</script>")
    steps: list[object] = [{"goto": "/"}, {"expect_text": "Shop"}]
    assert (await play(url, steps)).outcome is Outcome.PASS
    seen = await play(url, [*steps, {"expect_no_console_errors": True}])
    assert seen.outcome is Outcome.FAIL
    assert seen.values["console_errors"] == 1
    assert seen.values["uncaught_errors"] == 1


async def test_a_journey_that_works_at_the_second_try_warns(site: Site) -> None:
    def flaky(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=502) if request.path == "/" and site.hits["/"] == 1 else None

    url = site.page("<h1>Shop</h1>")
    site.handler = flaky
    seen = await play(url, [{"goto": "/"}, {"expect_text": "Shop"}], tries=2)
    assert seen.outcome is Outcome.WARN
    assert seen.values["tries"] == 2


async def test_a_journey_is_played_once_unless_it_may_be_repeated(site: Site) -> None:
    url = site.page("<h1>Shop</h1>", status=502)
    seen = await play(url, [{"goto": "/"}, {"expect_text": "Shop"}])
    assert seen.outcome is Outcome.FAIL
    assert site.hits["/"] == 1


async def test_pictures_are_kept_where_a_folder_is_named(site: Site, tmp_path: Path) -> None:
    context = make_context(root=tmp_path)
    steps: list[object] = [{"goto": "/"}, {"screenshot": "start"}, {"expect_text": "gone"}]
    seen = await play(site.page("<h1>Shop</h1>"), steps, screenshots="pictures", context=context)
    assert seen.outcome is Outcome.FAIL
    kept = {path.name: path.read_bytes()[:4] for path in (tmp_path / "pictures").iterdir()}
    assert kept == {"start.png": b"\x89PNG", "failed-step-3.png": b"\x89PNG"}


async def test_a_page_reaches_no_host_that_is_not_allowed(site: Site) -> None:
    async with serve_site() as secret:
        only = make_context(allow=[site.url.removeprefix("http://")])
        url = site.page(f"<h1>Shop</h1><img src={secret.url}/image><a href={secret.url}/>leave</a>")
        silent = {"expect_no_console_errors": True}
        steps: list[object] = [
            {"goto": "/"},
            {"wait": "500ms"},
            silent,
            {"click": "a"},
            # Its letters are on the browser's own error page, which must not count.
            {"expect_text": "hi"},
        ]
        seen = await play(url, steps, context=only)
        assert seen.outcome is Outcome.FAIL
        assert seen.values["failed_step"] == 5
        assert "does not load" in seen.observed
        assert not secret.hits
        assert seen.values["refused_hosts"] == 1


async def test_a_first_page_that_is_not_allowed_is_an_error(site: Site) -> None:
    steps: list[object] = [{"goto": "/"}, {"expect_text": "x"}]
    seen = await play(site.page(), steps, context=make_context(allow=["shop.example"]))
    assert seen.outcome is Outcome.ERROR
    assert not site.hits


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([{"goto": "/"}], "expects nothing"),
        ([{"expect_text": "x"}], "opens no page"),
        ([{"goto": "/"}, {"screenshot": "a"}, {"expect_text": "x"}], "screenshots"),
        ([{"goto": "/"}, {"wait": "5m"}, {"expect_text": "x"}], "30 s"),
    ],
)
def test_a_journey_that_makes_no_sense_is_found_at_start_up(steps: list[object], problem: str) -> None:
    kind = Catalogue().get("browser.script")
    assert kind is not None
    params = kind.params.model_validate({"url": "http://shop.example/", "steps": steps})
    assert problem in (kind.problem(params) or "")


@pytest.mark.parametrize("step", [{}, {"goto": "/", "click": "a"}, {"expect_url": "("}, {"taste": "x"}])
def test_a_step_is_exactly_one_thing(step: object) -> None:
    kind = Catalogue().get("browser.script")
    assert kind is not None
    with pytest.raises(ValidationError):
        kind.params.model_validate({"url": "http://shop.example/", "steps": [step]})
