"""Whatever people ask, click and overrule, and whatever checks find in whatever order: nothing is green that was
not seen to pass, nobody's name stands on what they did not do, and the events tell the whole state."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain import checking
from bot.domain.check import Evidence, ItemResult, Outcome
from bot.domain.deployment import Deployment, Target, extend, fold, started, tick
from bot.domain.errors import DeploybotError
from bot.domain.events import BOT, GENESIS, Event, Fact, chain
from bot.domain.ticking import Act
from bot.domain.verification import Bound, Purpose, run_from_json, run_to_json
from bot.services.checking import concluding
from tests.makers import ANA, BEN, NOON, make_checklist

FRESHNESS = timedelta(minutes=10)
#: A box a check is enough for, one that needs a person besides, one that is expensive, another of the first
#: sort, and one that nothing checks.
BOUND = {0: Bound(), 1: Bound(human="A person reads it."), 2: Bound(cheap=False), 3: Bound()}

positions = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
outcomes = st.sampled_from([*Outcome, Outcome.PASS, Outcome.PASS, Outcome.UNKNOWN])
facts = st.sampled_from(["a", "b", ""])
people = st.sampled_from([ANA, BEN])
steps = st.one_of(
    st.tuples(st.just("ask"), people, st.sets(positions, min_size=1)),
    st.tuples(st.just("conclude"), people, st.sampled_from([*[Purpose.GO] * 9, Purpose.FINISH])),
    st.tuples(st.just("find_next"), st.integers(0, 3), outcomes, facts),
    st.tuples(st.just("check"), people, positions, outcomes, facts),
    st.tuples(st.just("click"), people, positions | st.just(4), st.booleans()),
    st.tuples(st.just("overrule"), people, positions),
    st.tuples(st.just("stop"), people),
    st.tuples(st.just("wait"), st.sampled_from([1, 6, 11])),
)


@dataclass
class Play:
    """A deployment, its history, and the clock."""

    state: Deployment
    history: list[Event]
    now: datetime = NOON
    #: Positions people unticked in the run under way and nobody asked for again.
    unticked: set[int] = field(default_factory=set)

    def add(self, *facts: Fact) -> tuple[Event, ...]:
        self.state, added = extend(self.state, facts)
        self.history.extend(added)
        return added

    def step(self, what: str, *args: Any) -> None:
        getattr(self, what)(*args)

    def ask(self, user: str, wanted: set[int]) -> None:
        self.add(checking.request(self.state, sorted(wanted), user=user, at=self.now))
        self.unticked -= wanted

    def conclude(self, user: str, purpose: Purpose) -> None:
        again = checking.look_again(self.state, user=user, at=self.now, purpose=purpose)
        facts = [again] if again else concluding(self.state, purpose, user=user, at=self.now)
        self.add(*facts)

    def find(self, position: int, outcome: Outcome, fact: str) -> None:
        before = self.state
        facts = checking.record(self.state, position, self.result(position, outcome, fact), at=self.now)
        self.add(*facts)
        assert all(f.actor == BOT for f in facts)
        for at, was in before.ticks.items():
            human = at in BOUND and BOUND[at].human and not was.reason
            if was.by != BOT and not human:
                assert self.state.ticks.get(at) == was, "a person's tick was taken away"
        gained = set(self.state.ticks) - set(before.ticks)
        assert gained <= {position}
        assert not gained & self.unticked, "a person's untick was undone"
        if self.state.run is not None and not self.state.run.pending:
            self.end()

    def find_next(self, choice: int, outcome: Outcome, fact: str) -> None:
        """A result that is waited for, whichever."""
        pending = sorted(self.state.run.pending) if self.state.run is not None else [choice]
        self.find(pending[choice % len(pending)], outcome, fact)

    def check(self, user: str, position: int, outcome: Outcome, fact: str) -> None:
        """Ask for one item, and the answer comes."""
        self.ask(user, {position})
        self.find(position, outcome, fact)

    def end(self) -> None:
        run = self.state.run
        assert run is not None
        self.add(checking.ended(self.state, at=self.now))
        self.unticked = set()
        if run.purpose is Purpose.ASKED:
            return
        reopened = any(
            e.seq > run.seq and e.fact.kind == "item.unticked" and e.fact.actor == BOT for e in self.history
        )
        self.add(
            *concluding(self.state, run.purpose, user=run.by, at=self.now, reopened=reopened, go_by=run.go_by)
        )

    def result(self, position: int, outcome: Outcome, fact: str) -> ItemResult:
        key = self.state.checklist.items[position].key
        part = Evidence(
            id="",
            kind="http",
            target="",
            outcome=outcome,
            observed="seen",
            expected="",
            reason="" if outcome is Outcome.PASS else "why",
            facts={"commit": fact} if fact else {},
            started_at=self.now,
            ms=1.0,
        )
        expires = self.now + FRESHNESS
        return ItemResult(key=key, outcome=outcome, evidence=(part,), at=self.now, expires_at=expires, ms=1.0)

    def click(self, user: str, position: int, ticked: bool) -> None:
        act = Act(position=position, ticked=ticked, live=True)
        was = position in self.state.ticks
        made = tick(self.state, [act], user=user, at=self.now, drawn_seq=self.state.seq)
        self.add(*made.facts)
        if self.state.run is not None and was and position not in self.state.ticks:
            self.unticked.add(position)
        if position in self.state.ticks:
            self.unticked.discard(position)

    def overrule(self, user: str, position: int) -> None:
        self.add(checking.overruled(self.state, position, user=user, at=self.now, reason="I looked"))
        self.unticked.discard(position)

    def stop(self, user: str) -> None:
        self.add(checking.cancelled(self.state, user=user, at=self.now))
        self.unticked = set()

    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)


def begin() -> Play:
    fact = started(
        name="storefront-1",
        target=Target(service="storefront", version="v1", environment="production"),
        team="T",
        channel="C",
        lead=ANA,
        timezone="UTC",
        checklist_name="production",
        checklist=make_checklist(sections=1, boxes=3, steps=2),
        bindings=BOUND,
        at=NOON,
    )
    history = list(chain([fact], deployment_id=1, seq=0, head=GENESIS))
    return Play(state=fold(history), history=history)


def holds(play: Play) -> None:
    """What must be so at any time."""
    state, events = play.state, {event.seq: event for event in play.history}
    assert fold(play.history) == state
    asked = [e.fact.kind for e in play.history if e.fact.kind.startswith("checks.")]
    assert (state.run is not None) is (bool(asked) and asked[-1] == "checks.requested")
    if state.run is not None:
        assert run_from_json(run_to_json(state.run)) == state.run
        assert state.run.pending
    found: dict[int, list[tuple[Outcome, str]]] = {}
    for event in play.history:
        if event.fact.kind == "check.recorded":
            told = event.fact.data["result"]
            found.setdefault(event.fact.data["position"], []).append((Outcome(told["outcome"]), told["at"]))
    for position, made in state.ticks.items():
        assert events[made.seq].fact.actor == made.by, "a name on what somebody else did"
        if made.by != BOT:
            continue
        assert position in BOUND
        assert not BOUND[position].human, "one half closed a partly item"
        evidence = events[made.evidence].fact
        assert evidence.kind == "check.recorded"
        assert evidence.data["position"] == position
        assert Outcome(evidence.data["result"]["outcome"]).ticks
        looks = [outcome for outcome, _ in found[position]]
        assert looks[-1].ticks or (looks[-2].ticks and looks[-1] is not Outcome.FAIL)
    for position in state.done:
        made = state.ticks[position]
        bound, result = state.bindings.get(position), state.results.get(position)
        if bound is not None and bound.human and not made.reason:
            assert result is not None
            assert result.outcome.ticks
        if result is not None and result.outcome is Outcome.FAIL:
            assert made.reason, "done although its check fails, and nobody said why"


def holds_at_go(play: Play) -> None:
    """What must be so when somebody's Go or end is recorded."""
    state = play.state
    for position in state.done:
        made, bound = state.ticks[position], state.bindings.get(position)
        if bound is None or made.reason or not (made.by == BOT or bound.human):
            continue
        result = state.results[position]
        assert result.outcome.ticks
        assert result.expires_at > play.now


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=20, max_size=40))
def test_nothing_is_green_that_was_not_seen_to_pass_and_nobodys_act_is_lost(script: list[Any]) -> None:
    play = begin()
    for step in script:
        before = play.state
        try:
            play.step(*step)
        except DeploybotError:
            assert play.state == before
            continue
        holds(play)
        new = [e.fact.kind for e in play.history if e.seq > before.seq]
        if "deployment.go" in new or "deployment.finished" in new:
            holds_at_go(play)


def script(*steps_: tuple[Any, ...]) -> Play:
    """A play, step by step."""
    play = begin()
    for step in steps_:
        play.step(*step)
        holds(play)
    return play


def test_a_tick_does_not_outlive_its_evidence_by_being_looked_at_in_vain_again_and_again() -> None:
    play = script(
        ("ask", ANA, {0}),
        ("find", 0, Outcome.PASS, ""),
        ("wait", 6),
        ("ask", ANA, {0}),
        ("find", 0, Outcome.UNKNOWN, ""),
    )
    assert 0 in play.state.ticks
    play.step("ask", ANA, {0})
    play.step("find", 0, Outcome.UNKNOWN, "")
    assert 0 not in play.state.ticks


def test_what_came_to_nothing_last_is_looked_at_again_at_go_and_reopens_where_it_cannot_be() -> None:
    cheap = script(
        ("ask", ANA, {0, 2}),
        ("find", 0, Outcome.PASS, ""),
        ("find", 2, Outcome.PASS, ""),
        ("ask", ANA, {0, 2}),
        ("find", 0, Outcome.UNKNOWN, ""),
        ("find", 2, Outcome.ERROR, ""),
        ("conclude", ANA, Purpose.GO),
    )
    assert cheap.state.run is not None
    assert cheap.state.run.positions == (0,)
    cheap.step("find", 0, Outcome.PASS, "")
    assert cheap.state.go is None
    assert set(cheap.state.ticks) == {0}


def test_go_and_finish_that_share_a_run_are_both_recorded_under_their_own_names() -> None:
    for first, second in ((Purpose.GO, Purpose.FINISH), (Purpose.FINISH, Purpose.GO)):
        play = script(
            ("ask", ANA, {0}),
            ("find", 0, Outcome.PASS, ""),
            ("conclude", ANA, first),
            ("conclude", BEN, second),
            ("find", 0, Outcome.PASS, ""),
        )
        assert not play.state.phase.open
        assert play.state.go is not None
        by = {first: ANA, second: BEN}
        assert (play.state.go.by, play.state.ended_by) == (by[Purpose.GO], by[Purpose.FINISH])


def test_finish_waits_for_a_run_somebody_asked_for() -> None:
    play = script(("ask", ANA, {0}), ("conclude", BEN, Purpose.FINISH))
    assert play.state.phase.open
    play.step("find", 0, Outcome.PASS, "")
    assert play.state.ended_by == BEN


def test_an_untick_while_its_check_runs_stands_until_somebody_asks_again() -> None:
    play = script(
        ("ask", ANA, {0}),
        ("find", 0, Outcome.PASS, ""),
        ("ask", ANA, {0, 3}),
        ("click", BEN, 0, False),
        ("find", 0, Outcome.PASS, ""),
    )
    assert 0 not in play.state.ticks
    play.step("ask", ANA, {0})
    play.step("find", 0, Outcome.PASS, "")
    assert play.state.ticks[0].by == BOT


def test_a_confirmation_reopens_as_soon_as_what_was_confirmed_is_another_thing() -> None:
    play = script(
        ("ask", ANA, {1}),
        ("find", 1, Outcome.PASS, "a"),
        ("click", BEN, 1, True),
        ("ask", ANA, {1}),
        ("find", 1, Outcome.UNKNOWN, ""),
        ("ask", ANA, {1}),
        ("find", 1, Outcome.PASS, "b"),
    )
    assert 1 not in play.state.ticks
    last = play.history[-2].fact
    assert last.data["why"] == "the commit changed since it was looked at at 12:00 UTC"


def test_what_a_person_took_on_themselves_stays_theirs_when_the_facts_move() -> None:
    play = script(
        ("ask", ANA, {0, 1}),
        ("find", 0, Outcome.UNKNOWN, "a"),
        ("find", 1, Outcome.UNKNOWN, "a"),
        ("overrule", BEN, 0),
        ("overrule", BEN, 1),
        ("ask", ANA, {0, 1}),
        ("find", 0, Outcome.PASS, "b"),
        ("find", 1, Outcome.PASS, "b"),
        ("conclude", ANA, Purpose.GO),
        ("find", 0, Outcome.PASS, "c"),
        ("find", 1, Outcome.PASS, "c"),
    )
    assert {at: made.by for at, made in play.state.ticks.items()} == {0: BEN, 1: BEN}
    assert play.state.go is not None
