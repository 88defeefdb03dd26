"""A throw-away certificate authority with what it issues: a good certificate and an expired one."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NAMES = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
_KEY_USAGE = {
    "digital_signature": True,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate and its key, as PEM files."""

    chain: Path
    key: Path


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """What there is to serve."""

    #: The authority: what a client must trust.
    ca_file: Path
    good: Certificate
    expired: Certificate

    def context(self) -> ssl.SSLContext:
        """A client's context that trusts the authority."""
        return ssl.create_default_context(cafile=str(self.ca_file))


def make_certificates(folder: Path) -> Certificates:
    """New certificates by the authority of this folder, which is made where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    ca, ca_key = _authority(folder)
    now = datetime.now(UTC)
    return Certificates(
        ca_file=folder / "ca.pem",
        good=_issue(
            folder, "good", ca, ca_key, since=now - timedelta(hours=1), until=now + timedelta(days=89)
        ),
        expired=_issue(
            folder,
            "expired",
            ca,
            ca_key,
            since=now - timedelta(days=93),
            until=now - timedelta(days=2, hours=23),
        ),
    )


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Kept between runs, so that a browser that was told to trust it still does."""
    chain, key_file = folder / "ca.pem", folder / "ca.key"
    try:
        certificate = x509.load_pem_x509_certificate(chain.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError):
        pass
    else:
        fresh = certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=90)
        if fresh and isinstance(key, ec.EllipticCurvePrivateKey):
            return certificate, key
    made = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Deploybot example CA")])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(**{**_KEY_USAGE, "key_cert_sign": True, "crl_sign": True})
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(made.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=365))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(made.public_key()), critical=False)
        .sign(made, hashes.SHA256())
    )
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(key_file, made)
    return certificate, made


def _issue(
    folder: Path,
    name: str,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    *,
    since: datetime,
    until: datetime,
) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "storefront")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName(_NAMES), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**_KEY_USAGE), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    chain, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(key_file, key)
    return Certificate(chain=chain, key=key_file)


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    file.unlink(missing_ok=True)
    file.touch(0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
