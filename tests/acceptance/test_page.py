"""The page with an app that shows everything Block Kit has."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import async_playwright, expect

from tests.acceptance.browser import House, Player, launch
from tests.acceptance.gallery import FORM, HOME, message, option
from tests.integration.workspace import workspace_stage
from tests.integration.workspace.workspace_stage import DEPLOYS, App, Stage, connected
from tests.makers import ANA, BEN

Json = dict[str, Any]


@pytest.fixture
async def opened() -> AsyncIterator[Stage]:
    """A workspace with a small app installed."""
    async with workspace_stage.stage() as opened:
        yield opened


@pytest.fixture
async def heard(opened: Stage) -> AsyncIterator[list[Json]]:
    """What the app heard: elements used and forms submitted, in order."""
    heard: list[Json] = []
    app = App(opened)

    @app.hears("command", "/greet")
    async def greet(ack: Any, command: Json, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=command["trigger_id"], view=FORM)

    @app.hears("options", "look")
    async def look(ack: Any, payload: Json) -> None:
        await ack(options=[option("found", f"Found {payload['value']}")])

    @app.hears("view", "form")
    async def form(ack: Any, view: Json) -> None:
        heard.append(view["state"]["values"])
        if view["state"]["values"]["name"]["name"]["value"] == "taken":
            await ack(response_action="errors", errors={"name": "That name is taken"})
        else:
            await ack()

    @app.hears("event", "app_home_opened")
    async def home(event: Json, client: Any) -> None:
        await client.views_publish(user_id=event["user"], view=HOME)

    async def act(ack: Any, action: Json) -> None:
        await ack()
        heard.append(action)

    app.bolt.action(re.compile(".*"))(act)
    async with connected(opened, app, "websockets"):
        yield heard


@pytest.fixture
async def house(opened: Stage, heard: list[Json]) -> AsyncIterator[House]:
    """A browser for everybody."""
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        house = House(browser, opened.workspace.url)
        yield house
        await house.closes()
        await browser.close()


async def used(player: Player, heard: list[Json], name: str) -> Json:
    """What the app heard of this element last, once it did."""
    for _ in range(100):
        for action in reversed(heard):
            if action.get("action_id") == name:
                return action
        await player.page.wait_for_timeout(50)
    raise AssertionError(f"the app did not hear of {name}")


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_block_is_drawn_and_every_element_tells_the_app(
    opened: Stage, house: House, heard: list[Json], theme: str
) -> None:
    picture = f"{opened.workspace.url}/page/icon.svg"
    await opened.client.chat_postMessage(channel=DEPLOYS, text="all", blocks=message(picture))
    ana = await house.enters(ANA, theme=theme)
    shown = ana.page.locator("#messages article").last
    await expect(shown.locator(".bk-block")).not_to_have_count(0)
    await expect(shown.locator(".bk-unsupported")).to_have_count(0)
    await ana.sees("quote", where=shown.locator("blockquote").first)

    await shown.get_by_role("button", name="Roll back").click()
    await ana.page.get_by_role("button", name="Keep").click()
    await shown.get_by_role("button", name="Go", exact=True).click()
    await used(ana, heard, "go")
    assert [a["action_id"] for a in heard] == ["go"]  # the one that was not confirmed was not sent
    await shown.get_by_role("button", name="Roll back").click()
    await ana.page.get_by_role("button", name="Yes, roll back").click()
    await used(ana, heard, "roll_back")

    await shown.get_by_role("button", name="More actions").click()
    await ana.page.keyboard.press("Enter")
    assert (await used(ana, heard, "more"))["selected_option"]["value"] == "edit"
    await shown.get_by_role("button", name="Pick one").click()
    await ana.page.keyboard.type("option 11")
    await ana.page.keyboard.press("Enter")
    assert (await used(ana, heard, "pick"))["selected_option"]["value"] == "o11"
    await shown.get_by_role("button", name="Who").click()
    await ana.page.keyboard.type("ben")
    await ana.page.keyboard.press("Enter")
    assert (await used(ana, heard, "who"))["selected_user"] == BEN
    await shown.locator("input[type=date]").fill("2026-03-04")
    assert (await used(ana, heard, "day"))["selected_date"] == "2026-03-04"
    await shown.get_by_role("radio", name="Y").check()
    assert (await used(ana, heard, "one"))["selected_option"]["value"] == "y"
    await shown.get_by_role("checkbox", name="A", exact=False).first.check()
    assert [o["value"] for o in (await used(ana, heard, "some"))["selected_options"]] == ["a"]
    await expect(shown.get_by_text("Inside the container")).to_be_hidden()
    await shown.get_by_text("Folded").click()
    await expect(shown.get_by_text("Inside the container")).to_be_visible()


async def test_a_form_with_every_input_says_what_is_wrong_and_sends_what_was_entered(
    house: House, heard: list[Json]
) -> None:
    ana = await house.enters(ANA)
    await ana.types("/greet")
    await ana.submits("Send")
    await expect(ana.form.get_by_text("Please complete this required field.")).to_have_count(4)
    await ana.form.get_by_label("Name").fill("taken")
    await ana.form.get_by_label("Count").fill("4")
    await ana.form.locator("[data-block-id=pick] .bk-select").click()
    await ana.page.keyboard.type("option 3")
    await ana.page.keyboard.press("Enter")
    await ana.form.locator("[data-block-id=look] .bk-select").click()
    await ana.page.keyboard.type("hat")
    await ana.sees("Found hat")
    await ana.page.keyboard.press("Enter")
    await ana.form.get_by_role("radio", name="Pears").check()
    await ana.form.locator("[data-block-id=text] textarea").fill("so much")
    await ana.submits("Send")
    await ana.sees("That name is taken", where=ana.form)
    await ana.form.get_by_label("Name").fill("mine")
    await ana.submits("Send")
    await expect(ana.page.get_by_role("dialog")).to_have_count(0)
    sent = heard[-1]
    assert sent["name"]["name"]["value"] == "mine"
    assert sent["count"]["count"]["value"] == "4"
    assert sent["pick"]["pick"]["selected_option"]["value"] == "o3"
    assert sent["look"]["look"]["selected_option"]["value"] == "found"
    assert sent["one"]["one"]["selected_option"]["value"] == "p"
    assert "so much" in str(sent["text"]["text"]["rich_text_value"])


async def test_the_home_an_app_draws_at_once_is_shown(house: House, heard: list[Json]) -> None:
    ana = await house.enters(ANA)
    await ana.channel("greeter").click()
    await ana.sees("Welcome home")
    await ana.page.locator(".home").get_by_role("button", name="Go").click()
    await used(ana, heard, "h")


async def test_an_invitation_is_offered_and_adds_an_app(opened: Stage, house: House) -> None:
    ana = await house.enters(ANA)
    await ana.goes_to("random")
    composer = ana.page.get_by_role("textbox", name="Message #random", exact=True)
    # Slower than the list of before takes to close.
    await composer.press_sequentially("/inv", delay=100)
    await expect(ana.page.get_by_role("option", name="/invite")).to_contain_text("Add people or apps")
    await composer.press("Tab")
    await composer.press_sequentially("@greeter ")
    await composer.press("Enter")
    await ana.sees("You added @greeter to this channel.")
    await expect(ana.page.get_by_role("button", name="Add Greeter")).to_have_count(0)


async def test_an_address_may_name_a_handle_and_one_that_names_nobody_asks_who_it_is(
    opened: Stage, house: House
) -> None:
    acting = re.compile("^Acting as")
    ben = await house.enters("ben")
    await expect(ben.page.get_by_role("button", name=acting)).to_contain_text("Ben")
    await ben.page.goto(f"{opened.workspace.url}/?user=bob")
    await ben.sees("There is nobody called “bob” here")
    await ben.page.get_by_role("link", name="Carla").click()
    await expect(ben.page.get_by_role("button", name=acting)).to_contain_text("Carla")
