"""The report written down: for people, programs and spreadsheets; nothing typed becomes anything but text."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser

from bot.checklists.inline import plain
from bot.domain.check import Outcome
from bot.domain.checklist import Checklist, Group, Item, Section
from bot.domain.events import BOT
from bot.domain.recorder import Moment, Recorder, on_lines
from bot.domain.report import Report
from bot.domain.report_data import COLUMNS, report_to_json, rows, safe_cell
from bot.domain.report_schema import SCHEMA
from bot.domain.retelling import made
from bot.services.exporting import Form, as_csv, as_json, written
from bot.slack import recorder_chart
from bot.slack.blocks.reports import in_figures
from bot.templates import recorder_svg
from bot.templates.documents import escape_markdown
from bot.templates.report_documents import as_html, as_markdown
from tests.histories import NAMES, about, eventful, fact, found, history, minute, samples, start_fact
from tests.makers import ANA, BEN

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)> [a](javascript:alert(3)) | `x` <!-- {{ 7*7 }} @here\u202e'


@pytest.fixture(scope="module")
def report() -> Report:
    return made(history(eventful()), samples(), names=NAMES, plain=plain, now=minute(60))


@pytest.fixture(scope="module")
def evil() -> Report:
    """Somebody writes what would be an element into everything that can be written into."""
    one = Checklist(
        title=EVIL,
        sections=(Section(title=EVIL, groups=(Group(title=EVIL, items=(Item(key="a/b/c", text=EVIL),)),)),),
        rollback_steps=(EVIL,),
    )
    facts = [
        start_fact(
            one,
            also={
                "over_turn_of": EVIL,
                "frozen": {"name": EVIL, "reason": EVIL, "until": minute(9).isoformat()},
            },
        ),
        fact(
            "check.recorded",
            1,
            BOT,
            **about(one, 0),
            run=2,
            result=found("k", Outcome.FAIL, 1, observed=EVIL),
        ),
        fact("item.overruled", 2, BEN, **about(one, 0), reason=EVIL, evidence=2),
        fact("item.noted", 2, BEN, **about(one, 0), text=EVIL, link=EVIL),
        fact("item.assigned", 2, BEN, **about(one, 0), to=EVIL),
        fact("deployment.linked", 2, BEN, what=EVIL, url=EVIL, repository=EVIL),
        fact(
            "trigger.fired",
            3,
            BEN,
            key=EVIL,
            title=EVIL,
            source="person",
            size=0,
            finding={"said": EVIL, "label": EVIL},
        ),
        fact("trigger.cleared", 4, ANA, key=EVIL, reason=EVIL),
        fact("override.requested", 4, ANA, what=EVIL, reason=EVIL, open=[EVIL]),
        fact("rollback.started", 5, ANA, why=EVIL),
        fact(EVIL[:40], 5, ANA, reason=EVIL),
        fact("deployment.aborted", 6, ANA, reason=EVIL),
    ]
    return made(history(facts), samples(), names={ANA: EVIL, BEN: EVIL}, plain=plain, now=minute(60))


def test_the_page_holds_nothing_but_text_whatever_was_typed(evil: Report) -> None:
    page = LexborHTMLParser(as_html(evil))
    assert page.css("script, img, iframe, object, embed, link, form, base") == []
    for node in page.css("*"):
        assert not any(name.startswith("on") or name == "style" for name in node.attributes), node.html
        href = node.attributes.get("href") or "#"
        assert href.startswith("#"), href
    assert "<script>alert(1)</script>" in page.body.text()  # type: ignore[union-attr]
    assert "49" not in page.css_first("h1").text()  # type: ignore[union-attr]
    assert "\u202e" not in as_html(evil)


def test_the_page_is_one_file_with_a_policy_that_allows_its_style_alone(report: Report) -> None:
    text = as_html(report)
    assert re.search(r"(?:src|href)=[\"'](?!#)", text) is None
    assert "url(" not in text
    assert "default-src 'none'; style-src 'sha256-" in text


def test_the_page_can_be_heard(report: Report) -> None:
    page = LexborHTMLParser(as_html(report))
    assert page.css_first("html").attributes["lang"] == "en"  # type: ignore[union-attr]
    for one in ("header", "main", "nav[aria-label]", "footer", "a.skip"):
        assert len(page.css(one)) == 1, one
    tables = page.css("table")
    assert tables
    assert all(table.css("caption") for table in tables)
    assert all(cell.attributes.get("scope") in ("col", "row") for cell in page.css("th"))
    assert len(page.css("h1")) == 1
    picture = page.css_first("svg")
    assert picture is not None
    assert picture.attributes["role"] == "img"
    label = page.css_first(f"#{picture.attributes['aria-labelledby']}")
    assert label is not None
    assert label.text().startswith("Flight recorder of storefront")
    assert {node.attributes["id"] for node in page.css("h2[id]")} >= {
        (node.attributes["href"] or "").removeprefix("#") for node in page.css("nav a")
    }
    css = as_html(report)
    assert "prefers-color-scheme: dark" in css and "@media print" in css


def test_the_picture_is_sound_xml_and_says_what_its_marks_are(evil: Report) -> None:
    drawn = ElementTree.fromstring(str(recorder_svg.draw(evil.recorder, label="x")))
    assert {node.tag for node in drawn.iter()} == {"svg", "path", "text", "title", "polyline"}
    assert any("<script>" in (node.text or "") for node in drawn.iter("title"))


def crowded(report: Report) -> Recorder:
    """A rollback that is over and an end, all within seconds, at the right edge."""
    end = report.recorder.end - timedelta(seconds=60)
    names = ("Go", "live", "rollback", "verified", "finished")
    moments = tuple(Moment(name=name, at=end + timedelta(seconds=at)) for at, name in enumerate(names))
    return replace(report.recorder, moments=moments)


def test_names_of_moments_never_lie_on_each_other(report: Report) -> None:
    shown = crowded(report)
    drawn = ElementTree.fromstring(str(recorder_svg.draw(shown, label="x")))
    boxes = []
    for name in (node for node in drawn.iter("text") if node.attrib["class"] == "name"):
        x, width = float(name.attrib["x"]), 9 * len(name.text or "")
        left = x - width if name.attrib["text-anchor"] == "end" else x
        boxes.append((left, left + width, name.attrib["y"]))
    assert len(boxes) == 2, "as many as the two lines hold; the table names all"
    assert len({line for *_, line in boxes}) == 2
    assert sum(node.attrib["class"] == "moment" for node in drawn.iter("path")) == 5
    pytest.importorskip("matplotlib")
    figure = recorder_chart.make_figure(shown)
    figure.canvas.draw()
    first, second = [text.get_window_extent() for axes in figure.axes for text in axes.texts]
    assert not first.overlaps(second)


@given(st.lists(st.tuples(st.floats(0, 900), st.floats(1, 100)), max_size=12))
def test_what_stands_on_one_line_does_not_overlap(given_spans: list[tuple[float, float]]) -> None:
    spans = [(start, start + length) for start, length in given_spans]
    lines = on_lines(spans)
    assert lines[:2] == [0, *lines[1:2]][: len(spans)]
    for at, (one, line) in enumerate(zip(spans, lines, strict=True)):
        for other, its in list(zip(spans, lines, strict=True))[:at]:
            assert line is None or line != its or one[1] <= other[0] or one[0] >= other[1]


def test_markdown_holds_nothing_but_text_whatever_was_typed(evil: Report) -> None:
    text = as_markdown(evil)
    html = MarkdownIt("gfm-like", {"linkify": False, "html": False}).render(text)
    page = LexborHTMLParser(html)
    assert page.css("script, img, a") == []
    raw = re.findall(r"(?<!\\)<[a-z/!][^>]*>", text)
    assert set(raw) == {"<details>", "<summary>", "</summary>", "</details>"}
    for table in page.css("table"):
        widths = {len(row.css("th, td")) for row in table.css("tr")}
        assert len(widths) == 1, widths


def test_markdown_is_read_as_headings_and_tables(report: Report) -> None:
    page = LexborHTMLParser(MarkdownIt("gfm-like", {"linkify": False}).render(as_markdown(report)))
    assert [node.text() for node in page.css("h2")] == [
        "Course", "Flight recorder", "Times", "People", "Alerts and verdicts", "Rollback", "Waivers and overrides", "Items and evidence", "Timeline",
    ]  # fmt: skip
    assert len(page.css("table")) >= 9
    assert "Waived by Ana, 2 Mar 13:04:00: Box 1.3 (there is no database change)" in page.body.text()  # type: ignore[union-attr]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_escaped_text_comes_out_of_markdown_as_it_went_in(text: str) -> None:
    source = f"x {escape_markdown(text)} x"
    out = LexborHTMLParser(MarkdownIt("gfm-like", {"linkify": False}).render(source))
    assert not out.css("p *")
    clean = " ".join(re.sub("[\u202a-\u202e\u2066-\u2069\x7f]", "\ufffd", " ".join(text.split())).split())
    assert " ".join(out.body.text().split()) == " ".join(f"x {clean} x".split())  # type: ignore[union-attr]


@pytest.mark.parametrize("which", ["report", "evil"])
def test_json_is_what_its_schema_says(which: str, request: pytest.FixtureRequest) -> None:
    told = json.loads(as_json(request.getfixturevalue(which)))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(told)
    assert told["format"] == 1
    assert set(told) == set(SCHEMA["required"]), "what is told is documented"
    for name in ("deployment", "history", "recorder"):
        assert set(told[name]) == set(SCHEMA["properties"][name]["required"])
    assert set(told["items"][0]) == set(SCHEMA["properties"]["items"]["items"]["required"])
    assert told["deployment"]["started_at"] == "2026-03-02T12:00:00.000Z"


def test_an_override_in_force_stands_out_and_one_that_was_withdrawn_does_not_count(report: Report) -> None:
    page = LexborHTMLParser(as_html(report))
    [shown] = [node.text() for node in page.css("strong.bad") if "override" in node.text()]
    assert shown == "🟥 Emergency override."
    assert as_markdown(report).count("🟥 **Emergency override.** Go with 1 item open") == 1
    assert in_figures(report).split(" · ").count("1 override") == 1


def test_csv_has_a_row_for_each_event_in_utc_and_in_the_deployments_time(report: Report) -> None:
    read = list(csv.reader(io.StringIO(as_csv(report))))
    assert tuple(read[0]) == COLUMNS
    assert len(read) == 1 + len(report.timeline)
    assert read[1][:4] == ["1", "2026-03-02T12:00:00.000Z", "2026-03-02 13:00:00+01:00", "deployment.started"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "＝", "\u00a0@"])
def test_no_cell_becomes_a_formula(start: str) -> None:
    assert safe_cell(f"{start}HYPERLINK(1)").startswith("'")
    assert safe_cell("5 items") == "5 items"


def test_a_reason_that_is_a_formula_is_text_in_the_table() -> None:
    facts = [start_fact(), fact("=cmd|' /C calc'!A0", 1, ANA, reason="x")]
    table = rows(made(history(facts), {}, names={ANA: "=1+1"}, plain=plain, now=minute(2)))
    assert table[2][3].startswith("'=cmd") and table[2][5] == "'=1+1"


def test_secrets_that_were_taken_out_of_evidence_are_nowhere(report: Report) -> None:
    assert "SLACK" not in "".join(written(report, form).text for form in Form)


def big(events: int = 2000) -> Report:
    """The production checklist's size, with a long history."""
    one = Checklist(
        title="Production",
        sections=tuple(
            Section(
                title=f"Section {s}",
                groups=(
                    Group(
                        title="Boxes",
                        items=tuple(Item(key=f"s{s}/g/{n}", text=f"Item {n} of **{s}**") for n in range(18)),
                    ),
                ),
            )
            for s in range(6)
        ),
    )
    facts = [start_fact(one)]
    for at in range(events):
        where = about(one, at % 107)
        if at % 3:
            facts.append(fact("item.ticked" if at % 2 else "item.unticked", at / 20, BEN, **where))
        else:
            facts.append(
                fact("check.recorded", at / 20, BOT, **where, run=1, result=found("k", Outcome.PASS, at / 20))
            )
    return made(history(facts), samples(end=200), names=NAMES, plain=plain, now=minute(110))


def test_a_big_deployment_is_told_in_well_under_a_second() -> None:
    started = time.process_time()
    report = big()
    for form in Form:
        written(report, form)
    assert time.process_time() - started < 2.0  # some 0.5 s where nothing else runs
    page = LexborHTMLParser(as_html(report))
    assert len(page.css("#timeline ~ details[open]")) == 0, "the long table is folded"


def test_the_picture_for_the_thread_has_every_lane_moment_and_the_band(report: Report) -> None:
    pytest.importorskip("matplotlib")
    figure = recorder_chart.make_figure(report.recorder)
    drawn = {artist.get_gid() for axes in figure.axes for artist in axes.get_children()}
    assert {lane.kind.value for lane in report.recorder.lanes} | {"values", "band", "moment"} <= drawn
    named = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"Go", "rollback", "aborted"} <= named
    assert recorder_chart.draw(report.recorder).startswith(b"\x89PNG")


def test_the_picture_of_next_to_nothing_can_be_drawn() -> None:
    pytest.importorskip("matplotlib")
    report = made(history([start_fact()]), {}, names={}, plain=plain, now=minute(0))
    assert recorder_chart.draw(report.recorder).startswith(b"\x89PNG")
    assert "<svg" in as_html(report)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_any_words_make_sound_documents(texts: list[str]) -> None:
    facts = [
        start_fact(),
        *(fact("deployment.announced", 1, ANA, what="notify", words=text) for text in texts),
    ]
    report = made(history(facts), {}, names=NAMES, plain=plain, now=minute(5))
    page = LexborHTMLParser(as_html(report))
    assert len(page.css("#timeline ~ details tbody tr")) == len(texts) + 1
    jsonschema.Draft202012Validator(SCHEMA).validate(report_to_json(report))
    assert len(list(csv.reader(io.StringIO(as_csv(report))))) == len(texts) + 2
