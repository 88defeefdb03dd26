"""Whether alerts get through: Alertmanager's state, a watchdog that always fires, a synthetic alert."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bot.checks.kind import CheckTrouble, Context, Duration, Kind, NoData, SecretValue
from bot.checks.silences import covers, in_words
from bot.checks.source import Login, Source
from bot.checks.waiting import wait_for
from bot.domain.check import Observation, Rules

_URL = Field(description="Base URL of Alertmanager.")


def _alertmanager(context: Context, url: str, login: Login) -> Source:
    return Source(context.web, "Alertmanager", url, headers=login.headers())


class StatusParams(Login):
    """An Alertmanager and the alerts that must not be silenced."""

    url: str = _URL
    labels: dict[str, str] = Field(
        default={}, description="Labels of the alerts that no silence should cover; none: any silence."
    )


class Status(Kind[StatusParams]):
    """Whether Alertmanager is ready, has receivers that send, and holds nothing back."""

    name = "alertmanager"
    about = "Alertmanager is ready, has receivers that send somewhere, and no silence covers production."
    params = StatusParams
    values: ClassVar[Mapping[str, str]] = {
        "ready": "whether it is ready",
        "receivers": "receivers that send somewhere",
        "silences": "active silences that cover the labels",
        "cluster": "ready, settling, or disabled where it runs alone",
    }
    indirect = True

    def defaults(self, params: StatusParams) -> Rules:
        """Catalogue F4: no receiver fails, a silence that covers production warns."""
        return Rules(must={"ready": True}, fail={"receivers": "< 1"}, warn={"silences": "> 0"})

    async def observe(self, params: StatusParams, context: Context) -> Observation:
        """State, receivers, silences. The configuration text is read and forgotten: it may hold secrets."""
        source = _alertmanager(context, params.url, params)
        ready = await source.send("GET", "/-/ready")
        if ready.status not in (200, 503):
            source.judge(ready)
        status = await source.get("/api/v2/status")
        named = [str(receiver["name"]) for receiver in await source.get("/api/v2/receivers") or ()]
        sending = _sending(str(status.get("config", {}).get("original", "")))
        receivers = named if sending is None else [name for name in named if name in sending]
        silences = await source.get("/api/v2/silences") or []
        covering = [silence for silence in silences if covers(silence, params.labels)]
        mute = [name for name in named if name not in receivers]
        said = f"{len(receivers)} receivers" + (f", {len(covering)} silences" if covering else "")
        return Observation(
            values={
                "ready": ready.status == 200,
                "receivers": len(receivers),
                "silences": len(covering),
                "cluster": status.get("cluster", {}).get("status", "disabled"),
            },
            target=params.url,
            summary=f"{'ready' if ready.status == 200 else 'not ready'}, {said}",
            excerpt="\n".join(
                [
                    f"receivers: {', '.join(receivers) or 'none'}",
                    *([f"send nowhere: {', '.join(mute)}"] if mute else []),
                    *(in_words(silence) for silence in covering[:10]),
                ]
            ),
        )


def _sending(configuration: str) -> set[str] | None:
    """Names of the receivers with an integration; None where the configuration cannot be read."""
    try:
        loaded = YAML(typ="safe", pure=True).load(configuration)
    except YAMLError:
        return None
    if not isinstance(loaded, dict) or not isinstance(loaded.get("receivers"), list):
        return None
    return {
        str(receiver.get("name"))
        for receiver in loaded["receivers"]
        if any(key.endswith("_configs") and integrations for key, integrations in receiver.items())
    }


class WatchdogParams(Login):
    """The alert that always fires."""

    url: str = _URL
    alert: str = Field("Watchdog", description="Name of the alert that always fires.")


class Watchdog(Kind[WatchdogParams]):
    """Whether the way from Prometheus to Alertmanager works: an alert that always fires is there."""

    name = "alertmanager.watchdog"
    about = "The alert that always fires has arrived from Prometheus."
    params = WatchdogParams
    values: ClassVar[Mapping[str, str]] = {
        "firing": "whether it is there",
        "suppressed": "whether a silence or an inhibition holds it back",
        "age_s": "seconds since Prometheus sent it last; absent where it is not there",
    }
    indirect = True

    def defaults(self, params: WatchdogParams) -> Rules:
        """Catalogue F4: watchdog absent."""
        return Rules(must={"firing": True}, warn={"suppressed": True})

    async def observe(self, params: WatchdogParams, context: Context) -> Observation:
        """Look for it among the alerts."""
        source = _alertmanager(context, params.url, params)
        name = params.alert.replace("\\", "\\\\").replace('"', '\\"')
        alerts = await source.get("/api/v2/alerts", params={"filter": f'alertname="{name}"'}) or []
        ages = [_age(alert, context) for alert in alerts]
        states = [alert.get("status", {}).get("state") for alert in alerts]
        found = (
            f"{params.alert} fires, sent {min(ages):.0f} s ago" if alerts else f"{params.alert} is not there"
        )
        return Observation(
            values={
                "firing": bool(alerts),
                "suppressed": bool(states) and all(state == "suppressed" for state in states),
                "age_s": round(min(ages), 1) if ages else None,
            },
            target=params.url,
            summary=found,
        )


def _age(alert: Mapping[str, Any], context: Context) -> float:
    sent = datetime.fromisoformat(str(alert["updatedAt"]).replace("Z", "+00:00"))
    return (context.now() - sent).total_seconds()


class SyntheticParams(Login):
    """An alert of our own, and where its delivery can be seen."""

    url: str = _URL
    labels: dict[str, str] = Field(default={}, description="Labels that route it to a test receiver.")
    seen_at: str = Field("", description="URL that shows what the receiver got, e.g. a webhook's log.")
    seen_bearer: SecretValue | None = Field(None, description="Token for that URL.")
    proof: Literal["receiver", "alertmanager"] = Field(
        "receiver", description="What proves it: the receiver has it, or only that Alertmanager took it."
    )
    within: Duration = Field(90, gt=0, le=300, description="How long it may take.")


class Synthetic(Kind[SyntheticParams]):
    """Whether an alert reaches people: one is sent, awaited at its receiver, and resolved again.

    Alertmanager holds a new group back for `group_wait`, and a group it has already told of for
    `group_interval`, five minutes by default: route the test receiver with `group_by: [marker]`.
    """

    name = "alertmanager.synthetic"
    about = "A synthetic alert is delivered to a receiver in time; it is resolved afterwards."
    params = SyntheticParams
    values: ClassVar[Mapping[str, str]] = {
        "delivered": "whether it was delivered in time",
        "delay_s": "seconds it took; absent where it was not delivered",
        "receivers": "receivers Alertmanager routes it to",
    }
    indirect = True
    cheap = False
    repeatable = False
    timeout = 330.0

    def defaults(self, params: SyntheticParams) -> Rules:
        """Catalogue U1: not delivered in 90 s."""
        return Rules(must={"delivered": True})

    async def observe(self, params: SyntheticParams, context: Context) -> Observation:
        """Send, wait, resolve. Raises NoData where delivery can be seen nowhere."""
        source = _alertmanager(context, params.url, params)
        marker = f"{context.marker}-{secrets.token_hex(4)}"
        now = context.now()
        alert = {
            "labels": {"alertname": "DeploybotSynthetic", **params.labels, "marker": marker},
            "annotations": {
                "summary": f"Test of alert delivery for {context.service} by Deploybot; nothing is wrong."
            },
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(minutes=10)).isoformat(),
        }
        await source.post("/api/v2/alerts", json=[alert])
        try:
            return await self._await_delivery(params, context, source, marker)
        finally:
            with contextlib.suppress(CheckTrouble):  # it ends by itself ten minutes later
                ended = {**alert, "endsAt": context.now().isoformat()}
                await source.send("POST", "/api/v2/alerts", json=[ended])

    @staticmethod
    async def _await_delivery(
        params: SyntheticParams, context: Context, source: Source, marker: str
    ) -> Observation:
        async def taken() -> list[str] | None:
            alerts = await source.get("/api/v2/alerts", params={"filter": f'marker="{marker}"'})
            return [str(one["name"]) for one in alerts[0]["receivers"]] if alerts else None

        log = Source(
            context.web,
            "the receiver",
            params.seen_at,
            headers={"Authorization": f"Bearer {params.seen_bearer.reveal()}"} if params.seen_bearer else {},
        )

        async def received() -> bool | None:
            answer = await log.send("GET", "")
            log.judge(answer)
            return True if marker in answer.text else None

        receivers, _ = await wait_for(taken, within=min(params.within, 10), context=context)
        if receivers is None:
            raise NoData("Alertmanager took the alert, but does not show it")
        to = ", ".join(receivers)
        if params.proof == "alertmanager":
            delivered, delay = True, 0.0
            summary = f"Alertmanager routes it to {to}; that it was delivered is not proven"
        elif not params.seen_at:
            raise NoData(
                f"Alertmanager routes the alert to {to}, but nothing shows that it was delivered:"
                " name the receiver's log under seen_at"
            )
        else:
            found, delay = await wait_for(received, within=params.within, context=context)
            delivered = found is not None
            summary = (
                f"delivered to {to} in {delay:.1f} s" if delivered else f"not at {to} after {delay:.0f} s"
            )
        return Observation(
            values={
                "delivered": delivered,
                "delay_s": round(delay, 2) if delivered else None,
                "receivers": receivers,
            },
            target=params.url,
            summary=summary,
            excerpt=f"marker {marker}",
        )


KINDS = (Status(), Watchdog(), Synthetic())
