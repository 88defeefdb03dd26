"""Tokens at rest: encrypted and authenticated with keys that never reach the database (Fernet).

Several keys make a rotation: the first one encrypts, every one decrypts. What is sealed names its workspace
inside, so that a token put into another workspace's row is not taken for its own.
"""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bot.domain.errors import EncryptionKeyUnusable, TokenUnreadable


class Vault:
    """Seals and opens tokens."""

    def __init__(self, keys: str) -> None:
        """`keys` separated by commas, as in DEPLOYBOT_ENCRYPTION_KEY. Raises EncryptionKeyUnusable."""
        listed = [key.strip() for key in keys.split(",") if key.strip()]
        if not listed:
            raise EncryptionKeyUnusable(0)
        fernets = []
        for number, key in enumerate(listed, start=1):
            try:
                fernets.append(Fernet(key))
            except ValueError as error:  # its text could hold part of the key
                raise EncryptionKeyUnusable(number) from error
        #: How many keys there are.
        self.keys = len(fernets)
        self._first = fernets[0]
        self._all = MultiFernet(fernets)

    def seal(self, team: str, token: str) -> str:
        """The token, encrypted for this workspace with the first key."""
        return self._first.encrypt(f"{team} {token}".encode()).decode("ascii")

    def open(self, team: str, sealed: str, *, name: str = "") -> str:
        """The token. Raises TokenUnreadable, which names the workspace, where no key opens it."""
        try:
            whose, _, token = self._all.decrypt(sealed.encode()).decode().partition(" ")
        except (InvalidToken, ValueError) as error:
            raise TokenUnreadable(team, name) from error
        if whose != team:
            raise TokenUnreadable(team, name)
        return token

    def newest(self, sealed: str) -> bool:
        """Whether the first key opens it, so that the others are not needed for it."""
        try:
            self._first.decrypt(sealed.encode())
        except (InvalidToken, ValueError):
            return False
        return True


def new_key() -> str:
    """A key for DEPLOYBOT_ENCRYPTION_KEY."""
    return Fernet.generate_key().decode("ascii")
