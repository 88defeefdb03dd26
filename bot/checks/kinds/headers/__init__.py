"""Checks of response headers: security, content security policy, caching, CDN, redirects."""

from __future__ import annotations

from bot.checks.kinds.headers.cache import CacheHeaders
from bot.checks.kinds.headers.cdn import Cdn, Purged
from bot.checks.kinds.headers.csp import ContentSecurityPolicy
from bot.checks.kinds.headers.redirect import HttpsRedirect
from bot.checks.kinds.headers.security import SecurityHeaders

KINDS = (SecurityHeaders(), ContentSecurityPolicy(), CacheHeaders(), Cdn(), Purged(), HttpsRedirect())
