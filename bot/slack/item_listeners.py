"""Clicks and forms about items: the list of a section, waive, assign, note; what is open; the card's menu."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.conduct import Permission
from bot.domain.deployment import Deployment
from bot.domain.errors import AssigneeUnusable, ForeignClick
from bot.services import finding, permitting, tending
from bot.services.ports import Ports
from bot.services.ticking import Ticked, tick_items
from bot.slack.answering import Answerer, Payload, delivery_of, team_of, ticked_in, values_of
from bot.slack.blocks import gates, items, modals
from bot.slack.conversation import SILENCE, Answer
from bot.slack.gateway import Gateway, SlackFailure
from bot.slack.ids import Action, Field, ItemRef, Scope, View, number_of
from bot.slack.inflight import InFlight
from bot.slack.lead_listeners import hand_over_form
from bot.slack.remarks import remark
from bot.templates import escape


class ItemListeners:
    """The listeners, with what they need."""

    def __init__(
        self,
        *,
        ports: Ports,
        gateway: Gateway,
        answerer: Answerer,
        in_flight: InFlight,
        told: Callable[[Deployment], Awaitable[Answer]],
    ) -> None:
        self._ports = ports
        self._gateway = gateway
        self._answerer = answerer
        self._in_flight = in_flight
        self._told = told
        #: What the card's menu offers, by deed.
        self._menu: dict[str, Callable[[Deployment, Payload], Awaitable[Answer]]] = {
            "open": self._open_view,
            "no_go": self._no_go_view,
            "lead": self._lead_view,
            "report": self._report,
        }

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        app.action(Action.ITEMS.value)(self._on_items)
        app.action(Action.ITEM_MENU.value)(self._on_item_menu)
        app.action(Action.OPEN_ITEMS.value)(self._on_open_items)
        app.action(Action.CARD_MENU.value)(self._on_card_menu)
        app.view(View.WAIVE.value)(self._on_waived)
        app.view(View.ASSIGN.value)(self._on_assigned)
        app.view(View.NOTE.value)(self._on_noted)
        app.view(View.OPEN_ITEMS.value)(self._on_ticked)

    # ── clicks ───────────────────────────────────────────────────────────────────────────────────────────

    async def _on_items(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def show() -> Answer:
            scope = Scope.read(action.get("value"))
            state = await finding.get(self._ports, scope.deployment_id, team=team_of(body))
            return Answer(view=await self._listed(state, scope.positions(len(state.boxes))))

        await self._answerer.answer_with_form(ack, body, show())

    async def _listed(self, state: Deployment, positions: range) -> dict[str, Any]:
        view = items.listed(state, positions, names=await self._gateway.names(_people(state, positions)))
        scope = Scope(deployment_id=state.id, first=positions.start, last=positions.stop - 1)
        return {**view, "private_metadata": scope.write()}

    async def _on_item_menu(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def work() -> Answer:
            ref = ItemRef.read((action.get("selected_option") or {}).get("value"))
            state = await finding.get(self._ports, ref.deployment_id, team=team_of(body))
            if ref.position not in range(len(state.boxes)):
                raise ForeignClick
            user, delivery = body["user"]["id"], delivery_of(body, action)
            match ref.deed:
                case "waive":
                    await permitting.require(self._ports, state, Permission.WAIVE, user=user)
                    return Answer(view=items.waive(state, ref.position))
                case "assign":
                    return Answer(view=items.assign(state, ref.position, groups=await self._groups()))
                case "note":
                    return Answer(view=items.note(state, ref.position))
            return await self._undo(body, state, ref, user=user, delivery=delivery)

        await self._answerer.answer_with_form(ack, body, work())

    async def _undo(
        self, body: Payload, state: Deployment, ref: ItemRef, *, user: str, delivery: str
    ) -> Answer:
        """Done at once, and the list drawn again."""
        who = {"user": user, "delivery": delivery}
        match ref.deed:
            case "unwaive":
                after = await tending.unwaive(self._ports, state.id, ref.position, **who)
            case "unassign":
                after = await tending.unassign(
                    self._ports, state.id, ref.position, to="", shown=ref.seq, **who
                )
            case "unnote":
                after = await tending.remove_note(self._ports, state.id, ref.position, note=ref.seq, **who)
            case _:
                raise ForeignClick
        view = body.get("view") or {}
        if view.get("private_metadata"):
            positions = Scope.read(view["private_metadata"]).positions(len(after.boxes))
            try:
                await self._gateway.update_view(str(view["id"]), await self._listed(after, positions))
            except SlackFailure as failure:
                return Answer(text=f"Done. Slack did not show it in the form ({failure.code}).")
        return SILENCE

    async def _groups(self) -> list[tuple[str, str]]:
        try:
            return await self._gateway.groups()
        except SlackFailure:
            return []  # people can still be chosen

    async def _on_open_items(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def show() -> Answer:
            return await self._open_view(await self._state(body, action.get("value")), body)

        await self._answerer.answer_with_form(ack, body, show())

    async def _on_card_menu(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def chosen() -> Answer:
            ref = ItemRef.read((action.get("selected_option") or {}).get("value"))
            state = await finding.get(self._ports, ref.deployment_id, team=team_of(body))
            if ref.deed not in self._menu:
                raise ForeignClick
            return await self._menu[ref.deed](state, body)

        await self._answerer.answer_with_form(ack, body, chosen())

    async def _open_view(self, state: Deployment, body: Payload) -> Answer:
        return Answer(view=await open_items(self._ports, self._gateway, state))

    async def _no_go_view(self, state: Deployment, body: Payload) -> Answer:
        await permitting.require(self._ports, state, Permission.APPROVE, user=body["user"]["id"])
        return Answer(view=gates.no_go(state))

    async def _report(self, state: Deployment, body: Payload) -> Answer:
        return await self._told(state)

    async def _lead_view(self, state: Deployment, body: Payload) -> Answer:
        return Answer(view=hand_over_form(state))

    # ── forms ────────────────────────────────────────────────────────────────────────────────────────────

    async def _on_waived(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def waive() -> None:
            state, position = await self._item(body, view)
            await tending.waive(
                self._ports,
                state.id,
                position,
                reason=values_of(view).get(Field.REASON, ""),
                user=body["user"]["id"],
                delivery=f"view.{view['id']}",
            )

        await self._answerer.submitted(ack, body, waive(), channel=None, blame=Field.REASON, clear=True)

    async def _on_assigned(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def assign() -> None:
            state, position = await self._item(body, view)
            values = values_of(view)
            chosen = [one for one in (values.get(Field.PERSON), values.get(Field.GROUP)) if one]
            if len(chosen) != 1:
                raise AssigneeUnusable
            await tending.assign(
                self._ports,
                state.id,
                [position],
                to=chosen[0],
                user=body["user"]["id"],
                delivery=f"view.{view['id']}",
            )

        await self._answerer.submitted(ack, body, assign(), channel=None, blame=Field.PERSON, clear=True)

    async def _on_noted(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def write() -> None:
            state, position = await self._item(body, view)
            values = values_of(view)
            await tending.note(
                self._ports,
                state.id,
                position,
                text=values.get(Field.WORDS, ""),
                link=values.get(Field.LINK, ""),
                user=body["user"]["id"],
                delivery=f"view.{view['id']}",
            )

        await self._answerer.submitted(ack, body, write(), channel=None, blame=Field.WORDS, clear=True)

    async def _on_ticked(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def tick() -> None:
            state = await self._state(body, modals.metadata(view).get("deployment"))
            chosen = ticked_in(view)
            if not all(value.isdecimal() for value in chosen):
                raise ForeignClick
            user = body["user"]["id"]
            ticked: Ticked = await tick_items(
                self._ports, state.id, map(int, chosen), user=user, delivery=f"view.{view['id']}"
            )
            said = remark(ticked)
            if said:
                self._in_flight.begin(
                    self._answerer.tell(state.channel, user, Answer(text=escape(said)), None)
                )

        await self._answerer.submitted(ack, body, tick(), channel=None, blame=None, clear=True)

    async def _item(self, body: Payload, view: Payload) -> tuple[Deployment, int]:
        told = modals.metadata(view)
        state = await self._state(body, told.get("deployment"))
        position = told.get("position")
        if not isinstance(position, int) or position not in range(len(state.boxes)):
            raise ForeignClick
        return state, position

    async def _state(self, body: Payload, value: object) -> Deployment:
        return await finding.get(self._ports, number_of(value), team=team_of(body))


async def open_items(ports: Ports, gateway: Gateway, state: Deployment) -> dict[str, Any]:
    """The modal with nothing but what is open, with links to the sections' messages."""
    links: dict[int, str] = {}
    for post in await finding.sections(ports, state.id):
        link = gateway.link(post.channel, post.ts)
        if link:
            links.setdefault(post.content["section"], link)
    return items.still_open(state, links=links)


def _people(state: Deployment, positions: range) -> list[str]:
    """Whose names the list shows."""
    found = {state.ticks[position].by for position in positions if position in state.ticks}
    for position in positions:
        found |= {*state.care.assignees(position), *(note.by for note in state.care.notes.get(position, ()))}
        waiver = state.care.waivers.get(position)
        found |= {waiver.by} if waiver is not None else set()
    return sorted(one for one in found if one[:1] in "UWS")
