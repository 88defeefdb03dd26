"""A page and its files as the server sends them: no browser, one visit, a bounded number of requests."""

from bot.checks.kinds.page.application import Chunks, Pwa
from bot.checks.kinds.page.tags import Seo
from bot.checks.kinds.page.weight import Assets, Budget, Images

KINDS = (Seo(), Assets(), Images(), Budget(), Chunks(), Pwa())
