"""People in front of real browsers: each has a page of their own and does what a person would do."""

from __future__ import annotations

import re
import shutil
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Playwright, expect

#: What Chromium needs to run headless, as root, without calling anybody.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 15_000


def chromium_path() -> str:
    """Debian's Chromium, or Chrome. Raises RuntimeError where neither is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    raise RuntimeError("Chromium is not installed: run `make test`, or apt-get install chromium")


async def launch(playwright: Playwright) -> Browser:
    """A headless browser."""
    return await playwright.chromium.launch(executable_path=chromium_path(), args=list(ARGUMENTS))


class Player:
    """One person and their page."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.name = name
        #: Errors the page logged.
        self.errors: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        # A connection refused while the workspace is down belongs to the play, not to the page.
        if (
            message.type == "error"
            and "ERR_CONNECTION" not in message.text
            and "WebSocket" not in message.text
        ):
            self.errors.append(message.text)

    @property
    def thread(self) -> Locator:
        """The thread pane."""
        return self.page.get_by_role("complementary", name="Thread")

    @property
    def card(self) -> Locator:
        """The newest card in the channel."""
        return self.page.locator("#messages article:has(.bk-header)").last

    @property
    def form(self) -> Locator:
        """The form on top."""
        return self.page.get_by_role("dialog").last

    async def types(self, text: str, *, place: str = "Message #deploys") -> None:
        """Type into a composer and send."""
        composer = self.page.get_by_role("textbox", name=place, exact=True)
        await composer.fill(text)
        await composer.press("Escape")
        await composer.press("Enter")

    async def replies(self, text: str) -> None:
        """Write in the open thread."""
        await self.types(text, place="Reply in thread")

    def channel(self, name: str) -> Locator:
        """The entry of a channel, a person or an app in the sidebar."""
        return self.page.locator(".side-entry").filter(has=self.page.get_by_text(name, exact=True))

    async def goes_to(self, name: str) -> None:
        """Click a channel or a person in the sidebar."""
        await self.channel(name).click()
        await expect(self.channel(name)).to_have_attribute("aria-current", "page")

    async def opens_its_messages(self, app: str) -> None:
        """Click an app in the sidebar, which shows its Home, then what it wrote directly."""
        await expect(self.channel(app)).to_be_visible(timeout=PATIENCE_MS)
        await self.channel(app).click()
        await self.page.get_by_role("tab", name="Messages").click()

    async def acts_as(self, name: str) -> None:
        """Become somebody else on the same page."""
        await self.page.get_by_role("button", name=re.compile("^Acting as")).click()
        await self.page.get_by_role("menuitemradio", name=name).click()
        await expect(self.page.get_by_role("button", name=re.compile("^Acting as"))).to_contain_text(name)

    async def opens_the_thread(self, *, of: str = "") -> None:
        """Click the reply bar under the newest card, or under the one with this text."""
        card = self.page.locator("#messages article", has_text=of).last if of else self.card
        await card.locator(".reply-bar").click()
        await expect(self.thread).to_be_visible()

    def box(self, text: str) -> Locator:
        """The checkbox with this label in the open thread."""
        return self.thread.locator("label.bk-box", has_text=text).locator("input")

    async def ticks(self, text: str) -> None:
        """Click the box; ticked afterwards."""
        await self.box(text).check(timeout=PATIENCE_MS)

    async def unticks(self, text: str) -> None:
        """Click the box; not ticked afterwards."""
        await self.box(text).uncheck(timeout=PATIENCE_MS)

    async def freezes(self, on: bool) -> None:
        """Keep, or stop keeping, the screen as it is while others act."""
        await self.page.evaluate("on => window.workspace.freeze(on)", on)

    async def sees_ticked(self, text: str, by: str) -> None:
        """The box is ticked and says who did it."""
        await expect(self.box(text)).to_be_checked(timeout=PATIENCE_MS)
        label = self.thread.locator("label.bk-box", has_text=text)
        await expect(label).to_contain_text(
            re.compile(rf"✓ {by} · (\d+ \w+ )?\d\d:\d\d"), timeout=PATIENCE_MS
        )

    async def sees(self, text: str | re.Pattern[str], *, where: Locator | None = None) -> None:
        """The text is somewhere on the page, or in a part of it."""
        await expect(where or self.page.locator("body")).to_contain_text(text, timeout=PATIENCE_MS)

    async def fills(self, **inputs: str) -> None:
        """Fill in the form's text inputs by label."""
        for label, value in inputs.items():
            block = self.form.locator(".bk-input-block", has_text=label.capitalize())
            await block.locator("input, textarea").fill(value)

    async def submits(self, button: str) -> None:
        """Press the form's button."""
        await self.form.get_by_role("button", name=button, exact=True).click()

    async def looks(self, path: str) -> None:
        """Take a screenshot."""
        await self.page.mouse.move(5, 5)
        await self.page.wait_for_timeout(400)
        await self.page.screenshot(path=path)


class House:
    """Opens a page for each person who walks in."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._contexts: list[BrowserContext] = []
        self.players: list[Player] = []

    async def enters(self, user: str, *, theme: str = "light", **context: Any) -> Player:
        """The person opens the workspace in a browser profile of their own."""
        size = {"width": 1400, "height": 900}
        profile = await self._browser.new_context(**{"viewport": size, **context})
        self._contexts.append(profile)
        player = Player(await profile.new_page(), user)
        await player.page.goto(f"{self._url}/?user={user}&channel=C0DEPLOYS01&theme={theme}")
        await player.page.wait_for_selector("body[data-ready]", timeout=PATIENCE_MS)
        self.players.append(player)
        return player

    async def closes(self) -> None:
        """Everybody leaves; nobody's page may have complained."""
        for context in self._contexts:
            await context.close()
        complaints = [f"{player.name}: {error}" for player in self.players for error in player.errors]
        assert complaints == []
