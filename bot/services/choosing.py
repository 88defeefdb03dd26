"""Which checklist a service goes by."""

from __future__ import annotations

from bot.domain.errors import ChecklistNotForIt
from bot.domain.routing import DEFAULT_CHECKLIST, ServiceRule
from bot.services.ports import Ports


def checklist_for(ports: Ports, service: str, environment: str) -> str:
    """What services.yaml says of it, else `production`. Raises ServicesUnusable."""
    return _usual(ports.library.routing().of(service, environment))


def allowed_checklist(ports: Ports, service: str, environment: str, *, named: str) -> str:
    """The one somebody named; where nobody did, the usual one.

    Raises ServicesUnusable, and ChecklistNotForIt where services.yaml does not let it go by that one.
    """
    rule = ports.library.routing().of(service, environment)
    name = named or _usual(rule)
    if rule.only and name not in rule.only:
        raise ChecklistNotForIt(name, service=service, environment=environment, only=rule.only)
    return name


def _usual(rule: ServiceRule) -> str:
    return rule.checklist or next(iter(rule.only), DEFAULT_CHECKLIST)
