"""Which checklist `/deploy start` takes by services.yaml, and how one person's answers write the time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import Application
from bot.domain.errors import ServicesUnusable
from bot.slack.gateway import Gateway, web_client
from tests.integration.test_commands import SHORT, form, whispered
from tests.makers import ANA, BEN, CARLA
from tests.stage import Stage, running_bot

RULES = "version: 1\nservices:\n  - {service: 'store*', environment: production, checklist: short}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "short.md").write_text(SHORT)
    (tmp_path / "other.md").write_text("- [ ] Something else\n")
    (tmp_path / "services.yaml").write_text(RULES)
    return tmp_path


@pytest.fixture
async def bot(stage: Stage, folder: Path) -> AsyncIterator[Application]:
    async with running_bot(stage, f"sqlite:///{folder / 'd.db'}", checklists=folder, process={}) as bot:
        yield bot


async def started(bot: Application) -> str:
    async with bot.ports.database.read() as tx:
        ids = await bot.ports.deployments.ids(tx)
        state = await bot.ports.deployments.get(tx, ids[-1])
    assert state is not None
    return state.checklist_name


async def test_start_takes_the_checklist_of_the_service_unless_one_is_named(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types("/deploy start storefront v1 production")
    await stage.until(stage.root, what="the card")
    assert await started(bot) == "short"
    await stage.ana.types("/deploy start storefront v1 staging --checklist other")
    await stage.until(lambda: stage.root(1), what="the second card")
    assert await started(bot) == "other"
    await stage.ana.types("/deploy start backend v1 production")
    await stage.until(lambda: stage.root(2), what="the third card")
    assert await started(bot) == "production"


async def test_a_service_goes_by_no_checklist_but_its_own_where_the_rules_say_so(
    stage: Stage, bot: Application, folder: Path
) -> None:
    (folder / "services.yaml").write_text("version: 1\nservices: [{service: 'store*', only: [short]}]\n")
    await stage.ana.types("/deploy start storefront v1 production --checklist other")
    said = "storefront in production does not go by “other”: services.yaml lets it go by short only"
    assert said in await whispered(stage, ANA)
    await stage.ana.types("/deploy start storefront v1 production")
    await stage.until(stage.root, what="the card")
    assert await started(bot) == "short"
    await stage.ana.types("/deploy start backend v1 production --checklist other")
    await stage.until(lambda: stage.root(1), what="the second card")


async def test_the_form_leaves_the_checklist_to_the_service_that_is_typed_in(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types("/deploy start")
    view = await form(stage)
    select = view["blocks"][-1]["element"]
    assert select["initial_option"]["value"] == "By service"
    await stage.ana.submits(view, service="storefront", version="v1", environment="production")
    await stage.until(stage.root, what="the card")
    assert await started(bot) == "short"
    await stage.ben.types("/deploy start storefront v2")
    assert (await form(stage, BEN))["blocks"][-1]["element"]["initial_option"]["value"] == "production"


async def test_a_bot_with_rules_that_cannot_be_used_does_not_start(stage: Stage, folder: Path) -> None:
    (folder / "services.yaml").write_text("version: 1\nservices: [{checklist: shrt}]\n")
    with pytest.raises(ServicesUnusable, match="did you mean “short”"):
        async with running_bot(stage, f"sqlite:///{folder / 'd.db'}", checklists=folder, process={}):
            pass


async def test_the_answer_to_one_person_has_their_clock_where_slacks_is_not_shown(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types("/deploy start storefront v1 production")
    await stage.until(stage.root, what="the card")
    await stage.person(CARLA).types("/deploy remind at 23:30")
    assert "11:30\N{NARROW NO-BREAK SPACE}PM>" in await whispered(stage, CARLA)
    await stage.ana.types("/deploy remind at 23:30")
    assert "23:30>" in await whispered(stage, ANA)


async def test_slack_is_asked_for_the_locale(stage: Stage, bot: Application) -> None:
    session = bot._session
    assert session is not None
    gateway = Gateway(web_client(stage.installed.bot_token, stage.installed.api_url, session))
    people = [await gateway.person(user) for user in (ANA, BEN, CARLA)]
    assert [person.locale for person in people] == ["de-DE", "en-GB", "en-US"]
    assert people[0].reader.timezone == "Europe/Madrid"
