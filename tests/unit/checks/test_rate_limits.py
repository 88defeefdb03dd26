"""Rate limits as answers advertise them."""

from __future__ import annotations

import pytest

from bot.checks.rate_limits import advertised, closest


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        ({"ratelimit-policy": '"burst";q=100;w=60,"daily";q=1000;w=86400'}, [(100, 60), (1000, 86400)]),
        ({"ratelimit-policy": "100;w=60, 1000;w=3600;burst=10"}, [(100, 60), (1000, 3600)]),
        ({"ratelimit": "limit=100, remaining=50, reset=5", "ratelimit-policy": "100;w=60"}, [(100, 60)]),
        ({"ratelimit": "limit=100, remaining=50, reset=5"}, [(100, None)]),
        ({"ratelimit-limit": "100", "ratelimit-remaining": "9"}, [(100, None)]),
        ({"ratelimit-limit": "100, 100;w=60"}, [(100, 60)]),
        ({"x-ratelimit-limit": "60", "x-ratelimit-reset": "1772452800"}, [(60, None)]),
        ({"x-rate-limit-limit": "15"}, [(15, None)]),
        ({"x-ratelimit-limit-minute": "20", "x-ratelimit-limit-hour": "500"}, [(20, 60), (500, 3600)]),
        ({"ratelimit": '"default";r=50;t=30'}, []),
        ({"x-ratelimit-limit": "many"}, []),
        ({"x-ratelimit-remaining": "3", "retry-after": "1"}, []),
        ({}, []),
    ],
)
def test_each_form_is_understood(headers: dict[str, str], limits: list[tuple[int, float | None]]) -> None:
    assert [(limit.requests, limit.window_s) for limit in advertised(headers)] == limits


def test_the_declared_limit_is_found_among_several() -> None:
    limits = advertised({"ratelimit-policy": '"burst";q=20;w=1,"daily";q=1000;w=86400'})
    assert closest(limits, requests=1000, window_s=86400).window_s == 86400
    assert closest(limits, requests=1000, window_s=None).requests == 1000
    assert closest(limits, requests=20, window_s=86400).requests == 20
