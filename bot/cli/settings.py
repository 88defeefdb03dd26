"""The settings, or what is wrong with them."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from bot.config import Settings, set_up_logging
from bot.domain.errors import DeploybotError


def load(**given: Any) -> Settings:
    """The settings from the environment and `.env`, with what was given on the command line.

    Raises DeploybotError that names every setting that is wrong.
    """
    try:
        settings = Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
        raise DeploybotError(f"These settings can't be used: {wrong}") from error
    # A database's password may be any word; where it stands in an address it is taken out all the same.
    own = [secret.reveal() for secret in settings.secrets if secret.name != "database"]
    set_up_logging(settings.log_level, own)
    return settings
