"""Certificates and TLS versions of a server."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from pydantic import Field, model_validator

from bot.checks.handshakes import VERSIONS, Handshake, accepts, floor, handshake, lenient, names_host
from bot.checks.kind import Context, Kind, Params, TargetDown
from bot.checks.web import host_and_port
from bot.domain.check import Observation, Rules


class TlsParams(Params):
    """Which server."""

    host: str = Field(
        min_length=1, description="Host, or https:// URL, to connect to; the certificate must be for it."
    )
    port: int = Field(443, gt=0, lt=65536, description="Port that speaks TLS from the first byte.")
    server_name: str | None = Field(
        None, description="Name to ask for (SNI) and to find in the certificate, where it is not the host."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_a_url(cls, given: Any) -> Any:
        """A URL names the host, and the port where it holds one."""
        if not isinstance(given, dict) or "://" not in str(given.get("host", "")):
            return given
        host, port = host_and_port(str(given["host"]))
        return {"port": port, **given, "host": host}


class Tls(Kind[TlsParams]):
    """One verified handshake for the certificate, and one for each TLS version for the floor."""

    name = "tls"
    about = "Certificate (trusted, for this name, days left) and the oldest TLS version a server accepts."
    params = TlsParams
    values: ClassVar[Mapping[str, str]] = {
        "days_left": "whole days until the certificate expires; negative once it has",
        "chain": "trusted or not_trusted",
        "hostname": "match or mismatch",
        "min_version": "oldest TLS version accepted; left out where an older one could not be ruled out",
        "protocol": "TLS version a current client gets",
        "subject": "common name of the certificate",
        "issuer": "who issued it",
    }
    scales: ClassVar[Mapping[str, Sequence[str]]] = {
        "min_version": tuple(VERSIONS),
        "protocol": tuple(VERSIONS),
    }

    def defaults(self, params: TlsParams) -> Rules:
        """Catalogue B1: 7 and 21 days; RFC 8996 deprecates everything before TLS 1.2."""
        return Rules(
            fail={
                "days_left": "< 7",
                "chain": "not_trusted",
                "hostname": "mismatch",
                "min_version": "< TLSv1.2",
            },
            warn={"days_left": "< 21"},
        )

    async def observe(self, params: TlsParams, context: Context) -> Observation:
        """Shake hands."""
        name = params.server_name or params.host
        seen, values, trouble = await _certificate(params, context, name)
        # Two at a time: quick, and no burst of connections.
        spoken: dict[str, bool | None] = {}
        for pair in (("TLSv1", "TLSv1.1"), ("TLSv1.2", "TLSv1.3")):
            found = await asyncio.gather(*(_accepts(params, context, name, version) for version in pair))
            spoken.update(zip(pair, found, strict=True))
        oldest = floor(spoken)
        if oldest is not None:
            values["min_version"] = oldest
        certificate = x509.load_der_x509_certificate(seen.certificate)
        fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
        subject, issuer = _common_name(certificate.subject), _common_name(certificate.issuer)
        days = _days_left(certificate, context.now())
        values |= {"days_left": days, "protocol": seen.version, "subject": subject, "issuer": issuer}
        undecided = [version for version, answer in spoken.items() if answer is None]
        lines = [
            f"subject      {subject}",
            f"issuer       {issuer}",
            f"valid until  {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            f"SHA-256      {fingerprint}",
            f"connection   {seen.version}, {seen.cipher}",
            f"accepted     {', '.join(v for v, answer in spoken.items() if answer) or 'none'}",
        ]
        if undecided:
            lines.append(f"not told     {', '.join(undecided)}")
        if trouble:
            lines.append(f"trouble      {trouble}")
        said = [f"expired {-days} days ago" if days < 0 else f"{days} days left", seen.version, subject]
        return Observation(
            target=f"{params.host}:{params.port}",
            values=values,
            summary=", ".join([*said, *([trouble] if trouble else [])]),
            excerpt="\n".join(lines),
            facts={"certificate": f"sha256:{fingerprint}"},
        )


async def _certificate(
    params: TlsParams, context: Context, name: str
) -> tuple[Handshake, dict[str, Any], str]:
    """The certificate, whether it is trusted and for the name, and why it is not trusted.

    OpenSSL stops at the first thing wrong, so a wrong name is told from a wrong chain by asking again.
    """
    trouble = ""
    try:
        seen = await _shake(params, context, name, context.web.tls())
        return seen, {"chain": "trusted", "hostname": "match"}, ""
    except ssl.SSLCertVerificationError as error:
        trouble = error.verify_message
    except ssl.SSLError as error:
        # No version in common, as it seems; the certificate of an old server is still worth looking at.
        seen = await _old_shake(params, context, name, error)
        certificate = x509.load_der_x509_certificate(seen.certificate)
        match = "match" if names_host(certificate, name) else "mismatch"
        reason = (error.reason or "the handshake fails").replace("_", " ").lower()
        return seen, {"hostname": match}, f"current clients cannot connect: {reason}"
    except ConnectionError as error:
        raise TargetDown(f"{params.host}:{params.port} breaks off the TLS handshake") from error
    try:
        seen = await _shake(params, context, name, context.web.tls(any_name=True))
        return seen, {"chain": "trusted", "hostname": "mismatch"}, ""
    except ssl.SSLCertVerificationError as error:
        trouble = error.verify_message or trouble
    except (ssl.SSLError, ConnectionError) as error:
        raise TargetDown(f"{params.host}:{params.port} breaks off the TLS handshake") from error
    try:
        seen = await _shake(params, context, name, context.web.tls(verify=False))
    except (ssl.SSLError, ConnectionError) as error:
        raise TargetDown(f"{params.host}:{params.port} breaks off the TLS handshake") from error
    certificate = x509.load_der_x509_certificate(seen.certificate)
    match = "match" if names_host(certificate, name) else "mismatch"
    return seen, {"chain": "not_trusted", "hostname": match}, trouble


async def _old_shake(params: TlsParams, context: Context, name: str, why: ssl.SSLError) -> Handshake:
    reason = (why.reason or "the handshake fails").replace("_", " ").lower()
    refusal = TargetDown(f"{params.host}:{params.port} refuses the TLS handshake: {reason}")
    tls = lenient()
    if tls is None:
        raise refusal from why
    try:
        return await _shake(params, context, name, tls)
    except (ssl.SSLError, ConnectionError):
        raise refusal from why


async def _shake(params: TlsParams, context: Context, name: str, tls: ssl.SSLContext) -> Handshake:
    return await handshake(
        context.egress, params.host, params.port, tls, name=name, timeout=context.timeout / 2
    )


async def _accepts(params: TlsParams, context: Context, name: str, version: str) -> bool | None:
    try:
        return await accepts(
            context.egress, params.host, params.port, version, name=name, timeout=context.timeout / 4
        )
    except TargetDown:
        return None


def _days_left(certificate: x509.Certificate, now: datetime) -> int:
    return math.floor((certificate.not_valid_after_utc - now).total_seconds() / 86400)


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


KINDS = (Tls(),)
