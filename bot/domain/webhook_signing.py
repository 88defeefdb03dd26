"""Signatures of webhooks: ours as the Standard Webhooks specification writes them, GitHub's as it sends them.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

#: How secrets for symmetric signatures are told apart, and how long they are in bytes (specification).
PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64


def secret_bytes(secret: str) -> bytes:
    """The key a `whsec_…` stands for. Raises ValueError, which says what is wrong."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"it does not begin with {PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"what follows {PREFIX} is no base64") from error
    if not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"it stands for {len(key)} bytes, not {SHORTEST} to {LONGEST}")
    return key


def headers(*, uid: str, at: datetime, body: bytes, key: bytes) -> dict[str, str]:
    """The three headers of one attempt; the id is the same with every attempt, the time is not."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((uid.encode(), timestamp.encode(), body))
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": uid, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}


def is_githubs(*, header: str, body: bytes, secret: str) -> bool:
    """Whether `X-Hub-Signature-256` is that of the raw body, compared in constant time."""
    wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(header.encode("utf-8", "surrogateescape"), wanted.encode())
