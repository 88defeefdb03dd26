"""Tokens at rest: sealed for one workspace, opened by any of the keys."""

from __future__ import annotations

import pytest

from bot.domain.errors import EncryptionKeyUnusable, TokenUnreadable
from bot.storage.sealing import Vault, new_key

TEAM, TOKEN = "T0TEAM00001", "xoxb-123-hush"


def test_what_is_sealed_opens_again_and_shows_nothing() -> None:
    vault = Vault(new_key())
    sealed = vault.seal(TEAM, TOKEN)
    assert vault.open(TEAM, sealed) == TOKEN
    assert "hush" not in sealed
    assert sealed != vault.seal(TEAM, TOKEN)


def test_the_first_key_seals_and_every_one_opens() -> None:
    old, new = new_key(), new_key()
    sealed = Vault(old).seal(TEAM, TOKEN)
    both = Vault(f"{new}, {old}")
    assert both.keys == 2
    assert both.open(TEAM, sealed) == TOKEN
    assert not both.newest(sealed)
    again = both.seal(TEAM, TOKEN)
    assert both.newest(again)
    assert Vault(new).open(TEAM, again) == TOKEN


def test_a_lost_key_names_the_workspace_and_what_to_do() -> None:
    sealed = Vault(new_key()).seal(TEAM, TOKEN)
    with pytest.raises(TokenUnreadable, match=r"Acme \(T0TEAM00001\).*/slack/install"):
        Vault(new_key()).open(TEAM, sealed, name="Acme")


def test_a_token_in_another_workspaces_place_is_not_taken_for_its_own() -> None:
    vault = Vault(new_key())
    with pytest.raises(TokenUnreadable):
        vault.open("T0OTHER0002", vault.seal(TEAM, TOKEN))


@pytest.mark.parametrize("broken", ["", "hush", "gAAAAAB", "é"])
def test_what_is_no_sealed_token_is_unreadable(broken: str) -> None:
    with pytest.raises(TokenUnreadable):
        Vault(new_key()).open(TEAM, broken)
    assert not Vault(new_key()).newest(broken)


@pytest.mark.parametrize("key", ["", " , ", "hush-hush-hush", "é" * 44, "a" * 44 + "!"])
def test_a_key_that_is_none_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(EncryptionKeyUnusable) as refused:
        Vault(key)
    assert "new-key" in str(refused.value)
    assert "hush" not in str(refused.value)


def test_the_key_that_is_wrong_is_named_by_its_place() -> None:
    with pytest.raises(EncryptionKeyUnusable, match="Key 2 "):
        Vault(f"{new_key()},nonsense")
