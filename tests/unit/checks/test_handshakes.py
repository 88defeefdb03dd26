"""Names in certificates, and what OpenSSL here can offer."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from bot.checks.handshakes import VERSIONS, floor, names_host, pinned
from tests.servers.certificates import Authority


@pytest.mark.parametrize(
    ("names", "host", "matches"),
    [
        (["shop.example.com"], "shop.example.com", True),
        (["shop.example.com"], "SHOP.example.com.", True),
        (["shop.example.com"], "example.com", False),
        (["*.example.com"], "shop.example.com", True),
        (["*.example.com"], "a.shop.example.com", False),
        (["*.example.com"], "example.com", False),
        (["*.com"], "example.com", False),
        (["10.20.0.7"], "10.20.0.7", True),
        (["10.20.0.7"], "10.20.0.8", False),
        (["a.example.com", "b.example.com"], "b.example.com", True),
    ],
)
def test_a_certificate_is_for_the_hosts_it_names(
    tmp_path: Path, names: list[str], host: str, matches: bool
) -> None:
    issued = Authority(tmp_path).issue("leaf", *names)
    assert names_host(x509.load_pem_x509_certificate(issued.chain.read_bytes()), host) is matches


@pytest.mark.parametrize("version", VERSIONS)
def test_a_pinned_context_offers_one_version_and_no_other(version: str) -> None:
    context = pinned(version)
    assert context is not None, "OpenSSL here cannot offer it, so the floor cannot be tested"
    assert context.minimum_version == context.maximum_version == VERSIONS[version]


@pytest.mark.parametrize(
    ("told", "oldest"),
    [
        ((False, False, True, True), "TLSv1.2"),
        ((True, True, True, True), "TLSv1"),
        ((None, None, True, True), None),
        ((False, None, False, True), None),
        ((None, True, True, None), "TLSv1.1"),
        ((False, False, False, None), None),
        ((False, False, False, False), None),
    ],
)
def test_the_floor_is_open_while_an_older_version_could_not_be_offered(
    told: tuple[bool | None, ...], oldest: str | None
) -> None:
    assert floor(dict(zip(VERSIONS, told, strict=True))) == oldest
