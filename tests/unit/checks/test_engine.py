"""The engine: deadlines, retries, limits, samples, sharing, and that nothing broken is ever green."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from pydantic import Field

from bot.checks.catalogue import Catalogue
from bot.checks.engine import Engine
from bot.checks.kind import Broken, Context, Kind, NoData, Params, Pool, Refused, SecretValue, TargetDown
from bot.checks.places import DEFAULT_LIMITS, Limits, Places
from bot.checks.redaction import Redactor
from bot.domain.check import (
    Binding,
    CheckSpec,
    Evidence,
    ItemResult,
    Observation,
    Outcome,
    Rules,
    Samples,
    Secret,
    evidence_to_json,
    result_from_json,
    result_to_json,
)
from tests.checking import make_context

Look = Callable[[Context], Awaitable[Observation]]


class ScriptedParams(Params):
    """Which script, and what tells two checks apart."""

    script: str = "seen"
    host: str = ""
    number: int = 0
    token: SecretValue | None = Field(None, description="A secret that is used and never shown.")


class Scripted(Kind[ScriptedParams]):
    """A kind that does what a test wrote, and counts how often and how many at once."""

    name = "scripted"
    about = "For tests."
    params = ScriptedParams
    values: ClassVar[Mapping[str, str]] = {"*": "whatever"}

    def __init__(self, **scripts: Look | Exception | list[Any]) -> None:
        self._scripts = scripts
        self.looks = 0
        self.cancelled = 0
        self.at_once: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def observe(self, params: ScriptedParams, context: Context) -> Observation:
        self.looks += 1
        for place in {"all", params.host}:
            self.at_once[place] += 1
            self.most[place] = max(self.most[place], self.at_once[place])
        try:
            script: Any = self._scripts.get(params.script, seen(ok=True))
            if isinstance(script, list):
                script = script.pop(0) if len(script) > 1 else script[0]
            if isinstance(script, Exception):
                raise script
            found: Observation = await script(context)
            return found
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            for place in {"all", params.host}:
                self.at_once[place] -= 1


class Acting(Scripted):
    """The same, for what may not be repeated."""

    name = "acting"
    repeatable = False


class Asking(Scripted):
    """The same, for what asks a source about the target."""

    name = "asking"
    indirect = True


class Slow(Scripted):
    """The same, in the pool that has one place."""

    name = "slow"
    pool = Pool.BROWSER


class ListedCatalogue(Catalogue):
    """The shipped kinds and some more."""

    def __init__(self, *more: Kind[Any]) -> None:
        super().__init__()
        self._more = {kind.name: kind for kind in more}

    def get(self, name: str) -> Kind[Any] | None:
        return self._more.get(name) or super().get(name)


def seen(**values: Any) -> Look:
    async def look(context: Context) -> Observation:
        return Observation(values=values, target="shop", summary="looked")

    return look


def after(seconds: float, **values: Any) -> Look:
    async def look(context: Context) -> Observation:
        await asyncio.sleep(seconds)
        return Observation(values=values)

    return look


def spec(kind: Kind[Any], script: str = "seen", *, id: str = "", **more: Any) -> CheckSpec:
    named = {name: more.pop(name) for name in ("host", "number", "token") if name in more}
    more.setdefault("rules", Rules(must={"ok": True}))
    return CheckSpec(id=id, kind=kind.name, params=ScriptedParams(script=script, **named), **more)


def binding(key: str, *checks: CheckSpec, **more: Any) -> Binding:
    return Binding(key=key, text=key, checks=checks, **more)


async def quick_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


def context() -> Context:
    return replace(make_context(), sleep=quick_sleep)


async def examine(kind: Kind[Any], check: CheckSpec, **engine: Any) -> Evidence:
    return await Engine(ListedCatalogue(kind), **engine).examine(check, context())


async def run(kind: Kind[Any], *bindings: Binding, **engine: Any) -> dict[str, ItemResult]:
    results: dict[str, ItemResult] = {}

    async def keep(result: ItemResult) -> None:
        assert result.key not in results
        results[result.key] = result

    await Engine(ListedCatalogue(kind), **engine).run(bindings, context(), on_result=keep)
    return results


# ── outcomes of trouble ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        (TargetDown("it is down"), Outcome.FAIL),
        (NoData("nothing there"), Outcome.UNKNOWN),
        (Broken("no such tool"), Outcome.ERROR),
        (Refused("not allowed"), Outcome.ERROR),
        (ValueError("a bug"), Outcome.ERROR),
        (TimeoutError("of its own"), Outcome.ERROR),
        (KeyError("x"), Outcome.ERROR),
    ],
)
async def test_each_trouble_has_its_outcome_and_none_is_green(trouble: Exception, outcome: Outcome) -> None:
    evidence = await examine(kind := Scripted(bad=trouble), spec(kind, "bad"))
    assert evidence.outcome is outcome
    assert not evidence.outcome.ticks
    assert evidence.reason


async def test_an_unexpected_exception_shows_no_secret_in_evidence_or_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = Secret("token", "s3cr3t-t0k3n")

    async def fails(context: Context) -> Observation:
        raise RuntimeError(f"cannot use {token.reveal()} at postgresql://ana:hunter22@db/shop")

    kind = Scripted(bad=fails)
    with caplog.at_level(logging.DEBUG):
        evidence = await examine(kind, spec(kind, "bad", token=token), redactor=Redactor([token]))
    assert evidence.outcome is Outcome.ERROR
    assert "RuntimeError: cannot use •••" in evidence.reason
    for shown in (repr(evidence), caplog.text):
        assert "s3cr3t" not in shown and "hunter22" not in shown
    assert "test_engine.py" in caplog.text  # the traceback is there, for who has to mend it


async def test_everything_a_check_brings_back_is_redacted() -> None:
    token = Secret("token", "s3cr3t-t0k3n")

    async def tells(context: Context) -> Observation:
        told = token.reveal()
        return Observation(
            values={"ok": False, "body": told, "list": [{"a": told}]},
            target=f"https://shop/?x={told}",
            summary=f"saw {told}",
            excerpt=f"Authorization: Bearer {told}",
            facts={"x": told},
        )

    rules = Rules(must={"ok": True, "body": "something else"})
    kind = Scripted(tells=tells)
    evidence = await examine(kind, spec(kind, "tells", rules=rules), redactor=Redactor([token]))
    assert evidence.outcome is Outcome.FAIL
    assert "s3cr3t" not in repr(evidence)


async def test_a_kind_that_does_not_exist_is_an_error() -> None:
    kind = Scripted()
    evidence = await examine(kind, replace(spec(kind), kind="no.such.kind"))
    assert evidence.outcome is Outcome.ERROR


async def test_values_that_no_rule_speaks_of_do_not_matter_and_rules_without_a_value_are_unknown() -> None:
    kind = Scripted(seen=seen(ok=True, other=1))
    assert (await examine(kind, spec(kind))).outcome is Outcome.PASS
    rules = Rules(must={"ok": True, "absent": 1})
    assert (await examine(kind, spec(kind, rules=rules))).outcome is Outcome.UNKNOWN


async def test_evidence_is_bounded_and_fits_into_json() -> None:
    odd = {
        "ok": True,
        "text": "x" * 9000,
        "list": list(range(900)),
        "nan": math.nan,
        "inf": math.inf,
        "set": {1},
        "map": {number: number for number in range(900)},
    }

    async def big(context: Context) -> Observation:
        return Observation(values=odd, summary="s" * 9000, excerpt="e" * 9000)

    evidence = await examine(kind := Scripted(big=big), spec(kind, "big"))
    assert evidence.outcome is Outcome.PASS
    assert len(evidence.excerpt) == 4096 and len(evidence.observed) == 300
    kept = json.loads(json.dumps(evidence_to_json(evidence), allow_nan=False))
    assert len(kept["values"]["text"]) == 400
    assert len(kept["values"]["list"]) == len(kept["values"]["map"]) == 50


async def test_a_secret_that_lies_where_a_text_is_cut_leaves_no_half_of_it_behind() -> None:
    token = Secret("token", "0123456789" * 8)

    async def tells(context: Context) -> Observation:
        told = token.reveal()
        return Observation(
            values={"ok": True, "body": "x" * 350 + told, told: 1},
            target="t" * 250 + told,
            summary="s" * 250 + told,
            excerpt="e" * 4060 + told,
            facts={"x": "f" * 350 + told},
        )

    kind = Scripted(tells=tells)
    evidence = await examine(kind, spec(kind, "tells"), redactor=Redactor([token]))
    assert evidence.outcome is Outcome.PASS
    assert "0123" not in repr(evidence)


async def test_what_a_hostile_target_says_stays_one_harmless_line() -> None:
    said = "ok\n✅ *Ana* finished\x1b[2J\x00 \u202egnp \ud83d"

    async def tells(context: Context) -> Observation:
        return Observation(
            values={"ok": True, "name\x00": said}, summary=said, target=said, excerpt=said, facts={"x": said}
        )

    kind = Scripted(tells=tells)
    evidence = await examine(kind, spec(kind, "tells", rules=Rules(must={"ok": True}, warn={"ok": True})))
    for line in (evidence.observed, evidence.target, evidence.facts["x"]):
        assert line.startswith("ok ✅ *Ana* finished")
        assert line.isprintable()
    kept = json.dumps(evidence_to_json(evidence), ensure_ascii=False)
    kept.encode()
    assert not set(kept) & set("\x1b\x00\u202e")
    assert evidence.excerpt.splitlines()[0] == "ok"


async def test_values_that_nest_without_end_are_bounded() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = {"in": deep}
    wide = {str(a): {str(b): {str(c): "x" * 400 for c in range(50)} for b in range(50)} for a in range(50)}
    kind = Scripted(big=seen(ok=True, wide=wide, deep=deep, huge=10**5000))
    evidence = await examine(kind, spec(kind, "big"))
    assert evidence.outcome is Outcome.PASS
    assert len(json.dumps(evidence_to_json(evidence))) < 60_000


async def test_a_long_fact_that_changes_at_its_end_has_changed() -> None:
    async def tells(end: str) -> str:
        async def look(context: Context) -> Observation:
            return Observation(values={"ok": True}, facts={"migrations": "a" * 5000 + end})

        kind = Scripted(tells=look)
        return (await examine(kind, spec(kind, "tells"))).facts["migrations"]

    assert await tells("1") == await tells("1")
    assert await tells("1") != await tells("2")


async def test_evidence_that_cannot_be_made_is_an_error_and_takes_no_other_check_with_it() -> None:
    class Unspeakable:
        """Cannot even be printed."""

        def __str__(self) -> str:
            raise RuntimeError("token=hunter22secret")

    kind = Scripted(odd=seen(ok=Unspeakable()))
    rules = Rules(must={"ok": "~ x"})
    results = await run(kind, binding("odd", spec(kind, "odd", rules=rules)), binding("good", spec(kind)))
    assert {key: result.outcome for key, result in results.items()} == {
        "odd": Outcome.ERROR,
        "good": Outcome.PASS,
    }
    assert "hunter22" not in repr(results)


# ── tries and deadlines ──────────────────────────────────────────────────────────────────────────────────


async def test_a_target_that_answers_the_second_time_passes_and_says_so() -> None:
    kind = Scripted(flaky=[TargetDown("cut off"), seen(ok=True)])
    evidence = await examine(kind, spec(kind, "flaky"))
    assert (evidence.outcome, evidence.attempts, kind.looks) == (Outcome.PASS, 2, 2)
    assert evidence.observed == "looked (at try 2)"


async def test_a_target_that_stays_down_is_asked_as_often_as_allowed() -> None:
    kind = Scripted(down=TargetDown("down"))
    evidence = await examine(kind, spec(kind, "down", attempts=3))
    assert (evidence.outcome, evidence.attempts, kind.looks) == (Outcome.FAIL, 3, 3)


@pytest.mark.parametrize(
    "answer", [seen(ok=False), NoData("none"), Broken("tool"), Refused("no"), ValueError("x")]
)
async def test_a_wrong_answer_is_an_answer_and_is_not_asked_for_again(answer: Any) -> None:
    kind = Scripted(wrong=answer)
    evidence = await examine(kind, spec(kind, "wrong", attempts=3))
    assert (evidence.attempts, kind.looks) == (1, 1)
    assert not evidence.outcome.ticks


async def test_a_source_that_says_that_asking_again_may_help_is_asked_again() -> None:
    kind = Scripted(busy=[NoData("busy", retryable=True), seen(ok=True)])
    assert (await examine(kind, spec(kind, "busy"))).outcome is Outcome.PASS


async def test_what_acts_on_the_target_is_never_repeated() -> None:
    kind = Acting(down=TargetDown("down"))
    await examine(kind, spec(kind, "down", attempts=3))
    assert kind.looks == 1


async def test_a_source_that_is_down_says_nothing_about_the_target() -> None:
    kind = Asking(down=TargetDown("down"), slow=after(5, ok=True))
    assert (await examine(kind, spec(kind, "down"))).outcome is Outcome.UNKNOWN
    late = await examine(kind, spec(kind, "slow", timeout=0.02, attempts=1))
    assert late.outcome is Outcome.UNKNOWN


async def test_an_attempt_that_takes_too_long_is_stopped_and_fails() -> None:
    kind = Scripted(slow=after(5, ok=True))
    evidence = await examine(kind, spec(kind, "slow", timeout=0.02))
    assert evidence.outcome is Outcome.FAIL
    assert evidence.reason == "no answer within 0.02 s"
    assert (kind.looks, kind.cancelled) == (2, 2)


async def test_what_is_not_reached_before_the_run_ends_is_unknown_and_not_failed() -> None:
    kind = Slow(slow=after(0.2, ok=True))
    bindings = [binding(str(n), spec(kind, "slow", number=n, timeout=0.3, attempts=1)) for n in range(3)]
    results = await run(kind, *bindings, limits=replace(DEFAULT_LIMITS, run=0, grace=0))
    assert [results[key].outcome for key in "012"] == [Outcome.PASS, Outcome.UNKNOWN, Outcome.UNKNOWN]
    assert "not reached" in results["2"].evidence[0].reason


async def test_a_check_that_may_take_longer_than_a_run_gets_its_time() -> None:
    kind = Scripted(slow=after(0.05, ok=True))
    limits = replace(DEFAULT_LIMITS, run=0, grace=0)
    assert (await examine(kind, spec(kind, "slow", timeout=5), limits=limits)).outcome is Outcome.PASS


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_more_checks_at_once_than_the_pool_has_places() -> None:
    kind = Scripted(slow=after(0.01, ok=True))
    bindings = [binding(str(n), spec(kind, "slow", number=n)) for n in range(12)]
    await run(kind, *bindings, limits=Limits(places={Pool.NETWORK: 3}))
    assert kind.most["all"] == 3


async def test_no_more_checks_at_once_against_one_host_and_others_do_not_wait_for_it() -> None:
    kind = Scripted(slow=after(0.01, ok=True))
    bindings = [
        binding(f"{host}{n}", spec(kind, "slow", host=host, number=n)) for host in "ab" for n in range(6)
    ]
    await run(kind, *bindings, limits=Limits(places={Pool.NETWORK: 20}, per_host=2))
    assert (kind.most["a"], kind.most["b"], kind.most["all"]) == (2, 2, 4)


async def test_two_runs_at_once_share_the_places_so_that_a_host_gets_no_more_than_from_one() -> None:
    kind = Scripted(slow=after(0.01, ok=True))
    limits = Limits(places={Pool.NETWORK: 20}, per_host=2)
    places = Places(limits)
    bindings = [binding(str(n), spec(kind, "slow", host="a", number=n)) for n in range(6)]
    await asyncio.gather(*(run(kind, *bindings, limits=limits, places=places) for _ in range(3)))
    assert kind.most["a"] == 2


async def test_a_slow_pool_does_not_hold_up_a_quick_one() -> None:
    slow, quick = Slow(slow=after(0.2, ok=True)), Scripted()
    order: list[str] = []

    async def keep(result: ItemResult) -> None:
        order.append(result.key)

    bindings = [binding(f"slow{n}", spec(slow, "slow", number=n)) for n in range(2)]
    bindings.append(binding("quick", spec(quick)))
    await Engine(ListedCatalogue(slow, quick)).run(bindings, context(), on_result=keep)
    assert order[0] == "quick"
    assert slow.most["all"] == 1


# ── sharing, items, composites ───────────────────────────────────────────────────────────────────────────


async def test_checks_of_a_run_with_the_same_question_share_one_look_and_judge_it_themselves() -> None:
    kind = Scripted(vitals=seen(ok=True, lcp=3))
    strict = Rules(must={"lcp": "< 2"})
    results = await run(
        kind,
        binding("a", spec(kind, "vitals")),
        binding("b", spec(kind, "vitals", rules=strict)),
        binding("c", spec(kind, "vitals", number=1)),
    )
    assert kind.looks == 2
    assert [results[key].outcome for key in "abc"] == [Outcome.PASS, Outcome.FAIL, Outcome.PASS]


async def test_a_second_run_looks_again() -> None:
    kind = Scripted()
    engine = Engine(ListedCatalogue(kind))
    for _ in range(2):
        await engine.examine(spec(kind), context())
    assert kind.looks == 2


async def test_an_item_is_as_good_as_the_worst_of_its_checks() -> None:
    kind = Scripted(wrong=seen(ok=False))
    both = binding("a", spec(kind, id="good"), spec(kind, "wrong", id="wrong"))
    result = (await run(kind, both))["a"]
    assert result.outcome is Outcome.FAIL
    assert result.decisive is not None and result.decisive.id == "wrong"
    assert result.expires_at - result.at == both.freshness
    assert result_from_json(json.loads(json.dumps(result_to_json(result)))).evidence[0].values == {"ok": True}


@pytest.mark.parametrize(
    ("given", "outcome", "reason"),
    [
        ({"forbidden": "load is forbidden in production"}, Outcome.SKIPPED, "forbidden"),
        ({"missing": ("the query", "the table")}, Outcome.UNKNOWN, "fill in the query, the table"),
        ({}, Outcome.UNKNOWN, "nothing checks this item"),
    ],
)
async def test_what_may_not_or_cannot_run_is_not_run_and_not_green(
    given: dict[str, Any], outcome: Outcome, reason: str
) -> None:
    kind = Scripted()
    checks = (spec(kind),) if given else ()
    result = (await run(kind, binding("a", *checks, **given)))["a"]
    assert result.outcome is outcome
    assert reason in result.evidence[0].reason
    assert kind.looks == 0


def composite(*members: str) -> CheckSpec:
    found = Catalogue().get("composite")
    assert found is not None
    return CheckSpec(kind="composite", params=found.params(of=list(members)))


@pytest.mark.parametrize(
    ("scripts", "outcome"),
    [
        (["seen", "seen"], Outcome.PASS),
        (["seen", "warned"], Outcome.WARN),
        (["seen", "wrong"], Outcome.FAIL),
        (["seen", "unknown"], Outcome.UNKNOWN),
        (["seen", "broken"], Outcome.UNKNOWN),
        (["wrong", "unknown"], Outcome.FAIL),
    ],
)
async def test_a_composite_is_as_good_as_its_worst_member(scripts: list[str], outcome: Outcome) -> None:
    kind = Scripted(
        seen=seen(ok=True, n=0),
        warned=seen(ok=True, n=5),
        wrong=seen(ok=False, n=0),
        unknown=NoData("none"),
        broken=Broken("tool"),
    )
    rules = Rules(must={"ok": True}, warn={"n": "> 1"})
    members = [binding(str(n), spec(kind, script, number=n, rules=rules)) for n, script in enumerate(scripts)]
    # The composite comes first and waits for its members.
    results = await run(kind, binding("whole", composite("0", "1")), *members)
    assert results["whole"].outcome is outcome
    assert kind.looks == 2


async def test_a_composite_of_items_that_are_not_in_the_run_is_unknown() -> None:
    kind = Scripted()
    results = await run(kind, binding("a", spec(kind)), binding("whole", composite("a", "elsewhere")))
    assert results["whole"].outcome is Outcome.UNKNOWN


async def test_many_composites_do_not_take_the_places_their_members_need() -> None:
    kind = Scripted()
    wholes = [binding(f"whole{n}", composite("a")) for n in range(30)]
    results = await run(
        kind, *wholes, binding("a", spec(kind)), limits=Limits(places={Pool.NETWORK: 1}, per_host=1)
    )
    assert all(result.outcome is Outcome.PASS for result in results.values())


# ── samples ──────────────────────────────────────────────────────────────────────────────────────────────

GOOD, BAD, HIGH, NONE = seen(ok=True, n=0), seen(ok=False, n=0), seen(ok=True, n=5), NoData("no series")


@pytest.mark.parametrize(
    ("looks", "outcome", "taken"),
    [
        ([GOOD, GOOD, GOOD], Outcome.PASS, 3),
        ([BAD, GOOD, GOOD], Outcome.WARN, 3),
        ([BAD, GOOD, BAD], Outcome.FAIL, 3),
        ([BAD, BAD, GOOD], Outcome.FAIL, 2),
        ([GOOD, HIGH, GOOD], Outcome.WARN, 3),
        ([NONE, NONE, NONE], Outcome.UNKNOWN, 3),
        ([GOOD, NONE, NONE], Outcome.UNKNOWN, 3),
        ([BAD, NONE, GOOD], Outcome.UNKNOWN, 3),
        ([GOOD, GOOD, NONE], Outcome.PASS, 3),
        ([BAD, NONE, BAD], Outcome.FAIL, 3),
    ],
)
async def test_two_failing_looks_of_three_make_a_failure(
    looks: list[Any], outcome: Outcome, taken: int
) -> None:
    kind = Scripted(looks=list(looks))
    rules = Rules(must={"ok": True}, warn={"n": "> 1"})
    check = spec(kind, "looks", rules=rules, samples=Samples(count=3, every=20, fail_when=2))
    evidence = await examine(kind, check)
    assert evidence.outcome is outcome
    assert evidence.samples == kind.looks == taken


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_run_that_is_stopped_stops_its_checks_and_keeps_what_it_has() -> None:
    kind = Scripted(slow=after(30, ok=True))
    results: list[str] = []
    reached = asyncio.Event()

    async def keep(result: ItemResult) -> None:
        results.append(result.key)
        reached.set()

    bindings = [
        binding("quick", spec(kind)),
        binding("slow", spec(kind, "slow"), spec(kind, "slow", number=1)),
    ]
    engine = Engine(ListedCatalogue(kind))
    task = asyncio.create_task(engine.run(bindings, context(), on_result=keep))
    await asyncio.wait_for(reached.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert results == ["quick"]
    assert kind.cancelled == 2
    assert kind.at_once["all"] == 0


async def test_who_waits_for_a_place_when_a_run_is_stopped_never_starts() -> None:
    kind = Slow(slow=after(30, ok=True))
    bindings = [binding(str(n), spec(kind, "slow", number=n)) for n in range(5)]
    started = asyncio.Event()

    async def keep(result: ItemResult) -> None: ...

    task = asyncio.create_task(
        Engine(ListedCatalogue(kind)).run(
            bindings, context(), on_result=keep, on_start=lambda binding: started.set()
        )
    )
    await asyncio.wait_for(started.wait(), 5)
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (kind.looks, kind.cancelled) == (1, 1)


async def test_a_report_that_fails_ends_the_run_and_leaves_nothing_running() -> None:
    kind = Scripted(slow=after(30, ok=True))

    async def fails(result: ItemResult) -> None:
        raise OSError("disk full")

    bindings = [binding("quick", spec(kind)), binding("slow", spec(kind, "slow"))]
    with pytest.raises(OSError, match="disk full"):
        await Engine(ListedCatalogue(kind)).run(bindings, context(), on_result=fails)
    assert kind.at_once["all"] == 0
