"""The store, the traffic log, faults and text."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.workspace.clock import Clock
from bot.workspace.faults import Faults, UnknownFault
from bot.workspace.manifest import Manifest, ManifestProblem
from bot.workspace.state import MAX_DRAWINGS, State
from bot.workspace.store import Store
from bot.workspace.text import compose, mentioned, plain, unknown_references
from bot.workspace.traffic import Traffic


async def test_what_was_committed_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "store.db"
    store = Store(path)
    store.put("a", "1", {"x": "ü"})
    store.put("a", "2", [1])
    await store.commit()
    store.put("a", "2", None)
    store.put("b", "1", "other")
    await asyncio.gather(store.commit(), store.commit())
    store.put("a", "3", "never committed")
    reader = Store(path)
    assert list(reader.load("a")) == [("1", {"x": "ü"})]
    assert list(reader.load("b")) == [("1", "other")]
    reader.close()
    store.close()


async def test_a_store_without_a_path_keeps_nothing() -> None:
    store = Store(None)
    store.put("a", "1", "x")
    await store.commit()
    assert list(store.load("a")) == []


def test_only_the_newest_drawings_of_a_message_are_kept() -> None:
    state = State(Store(None))
    state.load()
    for number in range(MAX_DRAWINGS + 5):
        state.keep_drawing("C1", {"ts": "1.000000", "blocks": [{"block_id": str(number)}]})
    drawings = state.drawings["C1", "1.000000"]
    assert len(drawings) == MAX_DRAWINGS
    assert drawings[0]["blocks"][0]["block_id"] == "5"


def test_the_traffic_log_shows_no_secrets_and_forgets_the_oldest() -> None:
    traffic = Traffic(Clock(), size=3)
    for number in range(5):
        traffic.record(
            direction="bot→slack",
            kind="api",
            name=f"m{number}",
            status=200,
            request={"token": "t", "text": "xoxb-1-secret and xapp-1-A-secret"},
            original={"number": number},
        )
    entries = traffic.entries()
    assert [entry["seq"] for entry in entries] == [3, 4, 5]
    assert entries[0]["request"] == {"token": "…", "text": "xoxb-… and xapp-…"}
    assert traffic.entries(since=4, name="m4")[0]["name"] == "m4"
    assert traffic.original(5) == {"number": 4}
    assert traffic.original(1) is None


def test_faults_strike_as_often_as_asked_and_only_where_asked() -> None:
    faults = Faults()
    faults.add({"kind": "api", "method": "chat.update", "mode": "status", "times": 2})
    assert faults.take("api", "chat.delete") is None
    assert faults.take("delivery", "chat.update") is None
    assert [faults.take("api", "chat.update") is not None for _ in range(3)] == [True, True, False]
    lasting = faults.add({"kind": "delivery", "mode": "drop", "times": -1})
    assert all(faults.take("delivery", "interactive") for _ in range(5))
    faults.remove(lasting.id)
    assert faults.listing() == []
    with pytest.raises(UnknownFault):
        faults.add({"kind": "api", "mode": "duplicate"})


def test_what_people_type_is_escaped_and_names_become_ids() -> None:
    state = State(Store(None))
    state.load()
    typed = "@ana & @Ben Okafor: <b> see #deploys, #nowhere, ana@example.com, https://e.example/?a=1&b=2."
    assert compose(state, typed) == (
        "<@UANA0000001> &amp; <@UBEN0000002>: &lt;b&gt; see <#C0DEPLOYS01|>, #nowhere, ana@example.com, "
        "<https://e.example/?a=1&amp;b=2>."
    )
    assert compose(state, "@carla in #general", labelled=True) == (
        "<@UCARLA00003|carla> in <#C0GENERAL01|general>"
    )
    assert compose(state, "@anabel @here") == "@anabel <!here>"


def test_mentions_are_found_in_text_blocks_and_groups() -> None:
    state = State(Store(None))
    state.load()
    state.save_plain("usergroups", "S1", {"id": "S1", "users": ["UCARLA00003"]})
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "<@UBEN0000002> <!subteam^S1>"}}
    message = {"text": "<@UANA0000001|ana>", "blocks": [block]}
    assert mentioned(state, message) == {"UANA0000001", "UBEN0000002", "UCARLA00003"}
    assert unknown_references(state, "<@UANA0000001> <@UNOBODY> <#C0NOWHERE>") == [
        "<@UNOBODY>",
        "<#C0NOWHERE>",
    ]
    assert plain(state, "<@UANA0000001> &amp; <https://e.example|there> <!here>") == "@ana & there @here"


def test_a_manifest_tells_everything_that_is_wrong() -> None:
    with pytest.raises(ManifestProblem) as raised:
        Manifest.read(
            {
                "display_information": {"name": "x" * 36},
                "features": {"slash_commands": [{"command": "greet", "url": "https://e.example"}]},
            }
        )
    assert str(raised.value).count(";") == 3
