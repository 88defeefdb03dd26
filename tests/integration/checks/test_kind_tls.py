"""The kind `tls`, against a real nginx with a certificate in every state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.domain.check import Evidence, Outcome
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.servers.certificates import Authority, Certificate
from tests.servers.nginx import Nginx, Server, running_nginx


class Bench:
    """Servers and the authority their certificates come from."""

    def __init__(self, nginx: Nginx, authority: Authority, good: Certificate) -> None:
        self.nginx = nginx
        self.authority = authority
        self.good = good

    async def examine(self, server: str, *, host: str = "localhost", **rules: object) -> Evidence:
        """The kind's verdict on a server."""
        context = make_context(ca_file=self.authority.file)
        params = {"host": host, "port": self.nginx.port(server)}
        return await examine("tls", params, context=context, **rules)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    intermediate = Authority(folder, "Deploybot Test Intermediate", parent=authority)
    good = authority.issue("good")
    servers = {
        "good": Server(body="return 200;", certificate=good),
        "soon": Server(body="return 200;", certificate=authority.issue("soon", days_left=14.5)),
        "very-soon": Server(body="return 200;", certificate=authority.issue("very-soon", days_left=3.5)),
        "expired": Server(body="return 200;", certificate=authority.issue("expired", days_left=-2.5)),
        "other-name": Server(body="return 200;", certificate=authority.issue("other", "shop.example.com")),
        "self-signed": Server(body="return 200;", certificate=authority.issue("self", self_signed=True)),
        "full-chain": Server(body="return 200;", certificate=intermediate.issue("full")),
        "half-chain": Server(body="return 200;", certificate=intermediate.issue("half", with_issuer=False)),
        "old": Server(body="return 200;", certificate=good, protocols="TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"),
        "only-old": Server(body="return 200;", certificate=good, protocols="TLSv1.1"),
        "plain": Server(body="return 200;"),
    }
    with running_nginx(servers) as nginx:
        yield Bench(nginx, authority, good)


async def test_a_good_certificate_passes(bench: Bench) -> None:
    evidence = await bench.examine("good")
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["days_left"] == 89
    assert evidence.values["min_version"] == "TLSv1.2"
    assert evidence.values["protocol"] == "TLSv1.3"
    assert evidence.facts == {"certificate": f"sha256:{bench.good.fingerprint}"}
    assert "89 days left, TLSv1.3, localhost" in evidence.observed


async def test_a_certificate_for_an_address_is_matched_by_its_address(bench: Bench) -> None:
    assert (await bench.examine("good", host="127.0.0.1")).outcome is Outcome.PASS


async def test_a_certificate_that_expires_in_two_weeks_warns(bench: Bench) -> None:
    evidence = await bench.examine("soon")
    assert evidence.outcome is Outcome.WARN
    assert evidence.values["days_left"] == 14


async def test_a_certificate_that_expires_in_three_days_fails(bench: Bench) -> None:
    evidence = await bench.examine("very-soon")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["chain"] == "trusted"


async def test_an_expired_certificate_fails(bench: Bench) -> None:
    evidence = await bench.examine("expired")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["days_left"] == -3
    assert evidence.values["chain"] == "not_trusted"
    assert evidence.values["hostname"] == "match"
    assert "expired" in evidence.observed


async def test_a_certificate_for_another_host_fails_though_its_chain_is_trusted(bench: Bench) -> None:
    evidence = await bench.examine("other-name")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["hostname"] == "mismatch"
    assert evidence.values["chain"] == "trusted"


async def test_a_self_signed_certificate_fails(bench: Bench) -> None:
    evidence = await bench.examine("self-signed")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["chain"] == "not_trusted"
    assert evidence.values["hostname"] == "match"


async def test_a_chain_through_an_intermediate_passes(bench: Bench) -> None:
    assert (await bench.examine("full-chain")).outcome is Outcome.PASS


async def test_a_chain_without_its_intermediate_fails(bench: Bench) -> None:
    evidence = await bench.examine("half-chain")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["chain"] == "not_trusted"


async def test_a_certificate_of_an_authority_nobody_trusts_fails(bench: Bench) -> None:
    params = {"host": "localhost", "port": bench.nginx.port("good")}
    evidence = await examine("tls", params, context=make_context())
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["chain"] == "not_trusted"


async def test_a_server_that_still_speaks_tls_1_0_fails(bench: Bench) -> None:
    evidence = await bench.examine("old")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["min_version"] == "TLSv1"
    assert evidence.values["protocol"] == "TLSv1.3"


async def test_a_server_that_speaks_nothing_newer_than_tls_1_1_fails(bench: Bench) -> None:
    evidence = await bench.examine("only-old")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["min_version"] == "TLSv1.1"


async def test_a_server_without_tls_fails(bench: Bench) -> None:
    evidence = await bench.examine("plain")
    assert evidence.outcome is Outcome.FAIL
    assert "TLS" in evidence.reason


async def test_a_port_where_nothing_listens_fails(bench: Bench) -> None:
    evidence = await examine("tls", {"host": "localhost", "port": free_port()})
    assert evidence.outcome is Outcome.FAIL
    assert "nothing listens there" in evidence.reason


async def test_a_host_outside_the_allow_list_is_an_error(bench: Bench) -> None:
    context = make_context(allow=["shop.example.com"])
    evidence = await examine("tls", {"host": "127.0.0.1", "port": bench.nginx.port("good")}, context=context)
    assert evidence.outcome is Outcome.ERROR
    assert "nothing was contacted" in evidence.reason


async def test_a_demand_nobody_can_decide_is_unknown(bench: Bench) -> None:
    evidence = await bench.examine("good", fail={"min_version": "< TLSv9"})
    assert evidence.outcome is Outcome.UNKNOWN


async def test_a_team_may_demand_tls_1_3(bench: Bench) -> None:
    evidence = await bench.examine("good", fail={"min_version": "< TLSv1.3"})
    assert evidence.outcome is Outcome.FAIL
