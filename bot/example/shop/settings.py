"""What the shop is told at start, and what can be changed while it runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where everything is."""

    port: int
    #: As seen from outside, without a slash at the end.
    base_url: str
    #: Folder with pages, scripts, images and the OpenAPI document.
    project: str
    api_token: str
    #: Who knows it may change the conduct.
    control_key: str
    #: The account that may log in.
    account: str
    password: str
    #: The release that is deployed at the start, and its commit.
    version: str
    commit: str
    #: PostgreSQL and Redis; None where they are left out.
    database_dsn: str | None
    redis_dsn: str | None
    #: Names of the environment variables the shop is configured with: told by `/health/config`.
    configured: tuple[str, ...] = ()

    def write(self, file: Path) -> None:
        """To a file that only its owner can read."""
        file.touch(0o600)
        file.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, file: Path) -> Settings:
        """From such a file."""
        loaded: dict[str, Any] = json.loads(file.read_text())
        return cls(**loaded | {"configured": tuple(loaded["configured"])})


@dataclass(kw_only=True)
class Conduct:
    """How the shop behaves right now."""

    version: str
    commit: str
    #: Whether the API asks for a token.
    auth: bool = True
    #: Whether anything is limited.
    rate_limit: bool = True
    #: The shares of requests that fail: of one switch, and of another, so that each can be mended by itself.
    errors: float = 0.0
    failing: float = 0.0
    #: How much later the answers come, in milliseconds, and the share of those that do.
    delay_ms: float = 0.0
    delay_share: float = 1.0
    #: Whether people can order.
    checkout: bool = True
    workers: int = 2

    def change(self, **changed: Any) -> None:
        """Take over what is given. Raises TypeError for a name it does not know."""
        for name, value in changed.items():
            if name not in self.__dataclass_fields__:
                raise TypeError(f"there is no conduct “{name}”")
            setattr(self, name, type(getattr(self, name))(value))
