"""Where checks may connect to, and the ways around that do not lead anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.egress import AllowList
from bot.checks.kind import Refused, TargetDown


def names(**known: str | Sequence[str]) -> Callable[[str], Awaitable[tuple[str, ...]]]:
    """A resolver that knows these names; `_` stands for a dot, a list is answered in turn."""
    answers = {
        name.replace("_", "."): [told] if isinstance(told, str) else list(told)
        for name, told in known.items()
    }

    async def look_up(name: str) -> tuple[str, ...]:
        await asyncio.sleep(0)
        if name not in answers:
            raise OSError(-2, "Name or service not known")
        told = answers[name]
        return tuple((told.pop(0) if len(told) > 1 else told[0]).split())

    return look_up


async def refused(allow: Sequence[str], host: str, port: int = 443, **known: str | Sequence[str]) -> bool:
    try:
        await AllowList(allow, look_up=names(**known)).resolve(host, port)
    except Refused as error:
        assert "nothing was contacted" in str(error)
        return True
    return False


async def test_an_allowed_name_leads_to_its_addresses() -> None:
    allow = AllowList(["shop.example.com"], look_up=names(shop_example_com="192.0.2.1 2001:db8::1"))
    address = await allow.resolve("Shop.Example.com.", 443)
    assert (address.host, address.port, address.ips) == (
        "shop.example.com",
        443,
        ("192.0.2.1", "2001:db8::1"),
    )


async def test_an_internal_address_is_fine_for_a_name_that_is_allowed() -> None:
    assert not await refused(["db.internal"], "db.internal", 5432, db_internal="10.20.0.7")


@pytest.mark.parametrize(
    "host", ["other.example.com", "shop.example.com.evil.net", "evilshop.example.com", "example.com"]
)
async def test_a_name_that_is_not_allowed_is_refused_without_being_looked_up(host: str) -> None:
    async def never(name: str) -> tuple[str, ...]:
        raise AssertionError(f"{name} was looked up")

    with pytest.raises(Refused):
        await AllowList(["shop.example.com"], look_up=never).resolve(host, 443)


async def test_a_pattern_allows_names_below_it_and_not_the_name_itself() -> None:
    known = {
        "a_shop_example_com": "192.0.2.1",
        "shop_example_com": "192.0.2.1",
        "xshop_example_com": "192.0.2.1",
    }
    allow = ["*.shop.example.com"]
    assert not await refused(allow, "a.shop.example.com", 443, **known)
    assert await refused(allow, "shop.example.com", 443, **known)
    assert await refused(allow, "xshop.example.com", 443, **known)


async def test_a_port_that_was_named_is_the_only_one_allowed() -> None:
    known = {"db_internal": "10.20.0.7"}
    assert not await refused(["db.internal:5432"], "db.internal", 5432, **known)
    assert await refused(["db.internal:5432"], "db.internal", 22, **known)
    assert not await refused(["10.20.0.7:5432"], "10.20.0.7", 5432)
    assert await refused(["10.20.0.7:5432"], "10.20.0.7", 22)


async def test_a_network_allows_addresses_and_names_that_lead_into_it() -> None:
    assert not await refused(["10.20.0.0/16"], "10.20.3.4")
    assert not await refused(["10.20.0.0/16"], "db.internal", db_internal="10.20.3.4")
    assert await refused(["10.20.0.0/16"], "10.21.0.1")
    assert await refused(["10.20.0.0/16"], "db.internal", db_internal="10.21.0.1")


LOOPBACK_FORMS = {
    "127.0.0.1": "127.0.0.1",
    "2130706433": "127.0.0.1",
    "0x7f.1": "127.0.0.1",
    "0x7f000001": "127.0.0.1",
    "017700000001": "127.0.0.1",
    "127.1": "127.0.0.1",
    "::1": "::1",
    "[::1]": "::1",
    "::ffff:127.0.0.1": "::ffff:127.0.0.1",
    "64:ff9b::7f00:1": "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1": "64:ff9b:1::7f00:1",
    "::7f00:1": "::7f00:1",
    "2002:7f00:1::": "2002:7f00:1::",
    "localhost": "127.0.0.1",
}


@pytest.mark.parametrize("form", LOOPBACK_FORMS)
async def test_loopback_is_refused_in_every_way_to_write_it(form: str) -> None:
    # The system's own resolver reads the numeric forms.
    for allow in (["shop.example.com"], ["10.0.0.0/8", "2001:db8::/32"], ["*.example.com", "192.0.2.0/24"]):
        with pytest.raises(Refused):
            await AllowList(allow).resolve(form, 80)


@pytest.mark.parametrize("told", sorted(set(LOOPBACK_FORMS.values())))
async def test_an_allowed_name_that_leads_to_this_machine_is_refused(told: str) -> None:
    assert await refused(["shop.example.com"], "shop.example.com", shop_example_com=told)


async def test_loopback_can_be_allowed_on_purpose() -> None:
    assert not await refused(["localhost"], "localhost", localhost="127.0.0.1")
    assert not await refused(["127.0.0.0/8"], "127.0.0.1")
    assert not await refused(["127.0.0.0/8"], "::ffff:127.0.0.1")
    assert not await refused(["::1/128"], "::1")


METADATA = (
    *("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"),
    *(
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "::a9fe:a9fe",
        "168.63.129.16",
        "fd20:ce::254",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "fe80::1",
    ),
)


@pytest.mark.parametrize("ip", METADATA)
async def test_metadata_and_what_is_never_a_target_is_refused_even_if_allowed(ip: str) -> None:
    assert await refused(["0.0.0.0/0", "::/0"], ip)
    assert await refused(["shop.example.com", "0.0.0.0/0", "::/0"], "shop.example.com", shop_example_com=ip)


async def test_one_bad_address_among_good_ones_refuses_the_name() -> None:
    known = {"shop_example_com": "192.0.2.1 169.254.169.254"}
    assert await refused(["shop.example.com"], "shop.example.com", 443, **known)


async def test_a_name_that_answers_differently_the_second_time_is_asked_once() -> None:
    allow = AllowList(
        ["shop.example.com"], look_up=names(shop_example_com=["192.0.2.1", "127.0.0.1", "127.0.0.1"])
    )
    first, second = await asyncio.gather(
        allow.resolve("shop.example.com", 443), allow.resolve("shop.example.com", 80)
    )
    third = await allow.resolve("SHOP.example.com", 443)
    assert first.ips == second.ips == third.ips == ("192.0.2.1",)


async def test_a_name_that_does_not_resolve_is_down_and_may_be_tried_again() -> None:
    answers: list[tuple[str, ...] | OSError] = [
        OSError(-3, "Temporary failure in name resolution"),
        ("192.0.2.1",),
    ]

    async def look_up(name: str) -> tuple[str, ...]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    allow = AllowList(["shop.example.com"], look_up=look_up)
    with pytest.raises(TargetDown, match="does not resolve: Temporary failure"):
        await allow.resolve("shop.example.com", 443)
    assert (await allow.resolve("shop.example.com", 443)).ips == ("192.0.2.1",)


@pytest.mark.parametrize(("host", "port"), [("", 80), ("shop.example.com", 0), ("shop.example.com", 70000)])
async def test_what_is_no_address_is_refused(host: str, port: int) -> None:
    with pytest.raises(Refused):
        await AllowList(["shop.example.com"]).resolve(host, port)


@pytest.mark.parametrize("entry", ["", "://", "shop:port"])
def test_an_entry_that_names_nothing_is_found_at_start_up(entry: str) -> None:
    with pytest.raises(ValueError):
        AllowList([entry])


@given(st.ip_addresses())
def test_no_address_passes_an_empty_list(ip: object) -> None:
    with pytest.raises(Refused):
        asyncio.run(AllowList([]).resolve(str(ip), 443))
