"""Alerts of other systems: read as they are meant, or refused with everything that is wrong."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import InboundUnusable
from bot.domain.inbound import (
    ENVIRONMENT_LABELS,
    LONG,
    SERVICE_LABELS,
    SHORT,
    TRIGGER_KEYS,
    InboundAlert,
    alert_of_trigger,
    alerts_of_alertmanager,
)

#: As Alertmanager 0.25 posts it.
DELIVERED: dict[str, Any] = {
    "receiver": "bot",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {
                "alertname": "HighErrorRate",
                "service": "storefront",
                "job": "shop",
                "environment": "production",
                "namespace": "default",
                "severity": "page",
            },
            "annotations": {
                "summary": "More than 2 % of the requests fail.",
                "description": "Look at the logs.",
            },
            "startsAt": "2026-03-01T12:00:00.123456789Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
            "fingerprint": "9b1f0d5c2d4f6a81",
        }
    ],
    "groupLabels": {"alertname": "HighErrorRate"},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager:9093",
    "version": "4",
    "groupKey": '{}:{alertname="HighErrorRate"}',
    "truncatedAlerts": 0,
}
FORM = {"service": "storefront", "environment": "production", "title": "Orders fail"}


def delivered(**changed: Any) -> dict[str, Any]:
    """One alert in the webhook's form, something of it changed; None takes a key out."""
    payload = copy.deepcopy(DELIVERED)
    payload["alerts"][0] |= changed
    for name in [name for name, value in changed.items() if value is None]:
        del payload["alerts"][0][name]
    return payload


def test_an_alert_of_alertmanager_says_whom_it_is_about_and_since_when() -> None:
    (alert,) = alerts_of_alertmanager(DELIVERED)
    assert alert == InboundAlert(
        key="9b1f0d5c2d4f6a81",
        title="HighErrorRate",
        said="More than 2 % of the requests fail.",
        severity="page",
        resolved=False,
        service="storefront",
        environment="production",
        started_at=datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
        url="http://prometheus:9090/graph?g0.expr=up",
        labels=DELIVERED["alerts"][0]["labels"],
    )
    (over,) = alerts_of_alertmanager(delivered(status="resolved", endsAt="2026-03-01T12:05:00Z"))
    assert (over.key, over.resolved) == (alert.key, True)


@pytest.mark.parametrize("place", range(3))
def test_the_most_telling_label_that_is_there_counts(place: int) -> None:
    labels = {name: f"service-{name}" for name in SERVICE_LABELS[place:]}
    labels |= {name: f"place-{name}" for name in ENVIRONMENT_LABELS[place:]}
    (alert,) = alerts_of_alertmanager(delivered(labels=labels))
    assert alert.service == f"service-{SERVICE_LABELS[place]}"
    assert alert.environment == f"place-{ENVIRONMENT_LABELS[place]}"


def test_an_alert_that_names_nobody_is_nobodys() -> None:
    (alert,) = alerts_of_alertmanager(delivered(labels={"service": " "}))
    assert (alert.service, alert.environment, alert.title) == ("", "", "Alert without a name")


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ([], "the request is a list, not an object"),
        ({}, "version is missing, not “4”"),
        (DELIVERED | {"version": "3"}, "version is “3”, not “4”"),
        (DELIVERED | {"version": 4}, "version is a number, not “4”"),
        (DELIVERED | {"alerts": {}}, "alerts is an object, not a list"),
        (DELIVERED | {"alerts": ["down"]}, "alerts[0] is text, not an object"),
        (delivered(status="weird"), "alerts[0].status is “weird”, neither firing nor resolved"),
        (delivered(status=None), "alerts[0].status is missing"),
        (delivered(fingerprint=None), "alerts[0].fingerprint is missing"),
        (delivered(fingerprint=" "), "alerts[0].fingerprint is empty"),
        (delivered(startsAt="yesterday"), "alerts[0].startsAt “yesterday” is no time as RFC 3339 writes it"),
        (delivered(startsAt="2026-03-01T12:00:00"), "is no time as RFC 3339 writes it"),
        (delivered(labels=[]), "alerts[0].labels is a list, not an object"),
        (delivered(labels={"job": 7}), "alerts[0].labels.job is a number, not text"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_what_to_do(payload: Any, said: str) -> None:
    with pytest.raises(InboundUnusable) as refused:
        alerts_of_alertmanager(payload)
    assert said in str(refused.value)
    assert "Post Alertmanager's webhook format, version 4, to /hooks/alertmanager." in str(refused.value)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    payload = delivered(status="weird", fingerprint=None)
    payload["alerts"].append("down")
    with pytest.raises(InboundUnusable) as refused:
        alerts_of_alertmanager(payload)
    assert len(refused.value.problems) == 3
    assert "(and 2 more)" in str(refused.value)


def test_our_own_form_needs_three_keys_and_is_the_same_alert_each_time() -> None:
    alert = alert_of_trigger(FORM)
    assert (alert.service, alert.environment, alert.title) == ("storefront", "production", "Orders fail")
    assert alert.key
    assert alert.key == alert_of_trigger(FORM | {"said": "again", "resolved": True}).key
    assert alert.key != alert_of_trigger(FORM | {"environment": "staging"}).key
    full = FORM | {
        "said": "9 of 10 orders",
        "severity": "page",
        "url": "https://status.example.com/7",
        "key": "orders",
        "team": "T0123456789",
        "resolved": True,
        "started_at": "2026-03-01T13:00:00+01:00",
    }
    assert set(full) == set(TRIGGER_KEYS)
    alert = alert_of_trigger(full)
    assert (alert.key, alert.resolved, alert.url) == ("orders", True, full["url"])
    assert alert.started_at == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"service": ""}, "service is missing"),
        ({"title": "\t"}, "title is empty"),
        ({"titel": "x"}, "there is no “titel”"),
        ({"url": "javascript:alert(1)"}, "is no http or https address"),
        ({"resolved": "yes"}, "resolved is text, not true or false"),
        ({"said": ["x"]}, "said is a list, not text"),
    ],
)
def test_our_own_form_is_refused_with_what_to_send_instead(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InboundUnusable) as refused:
        alert_of_trigger(FORM | changed)
    assert said in str(refused.value)
    assert "with service, environment, title and, where you like, said, " in str(refused.value)


def test_an_address_that_no_button_can_lead_to_does_not_cost_the_alert() -> None:
    for address in ("javascript:alert(1)", "http://[", "/graph", f"http://x/{'a' * 4000}"):
        assert alerts_of_alertmanager(delivered(generatorURL=address))[0].url == ""


def test_what_no_database_can_hold_is_taken_out_and_what_is_long_is_cut() -> None:
    said = json.loads('"a\\u0000b\\ud800"') + "x" * 5000
    (alert,) = alerts_of_alertmanager(
        delivered(labels={"alertname": "y" * 999, "\x00": "z"}, annotations={"summary": said})
    )
    assert alert.said.startswith("a�b�x")
    assert (len(alert.said), len(alert.title)) == (LONG, SHORT)
    assert "\x00" not in "".join(alert.labels)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(field=st.sampled_from([*DELIVERED["alerts"][0], "x"]), value=JSON)
def test_whatever_stands_in_a_field_it_is_read_or_refused(field: str, value: Any) -> None:
    try:
        found = alerts_of_alertmanager(DELIVERED | {"alerts": [DELIVERED["alerts"][0] | {field: value}]})
    except InboundUnusable as refused:
        assert str(refused).startswith("This alert can't be used: alerts[0]")
    else:
        assert found[0].key
        repr(found).encode()


@given(field=st.sampled_from([*TRIGGER_KEYS, "x"]), value=JSON)
def test_whatever_stands_in_our_own_form_it_is_read_or_refused(field: str, value: Any) -> None:
    try:
        found = alert_of_trigger(FORM | {field: value})
    except InboundUnusable:
        pass
    else:
        assert found.key
        assert found.title
        repr(found).encode()
