"""Which checklist a service goes by where nobody names one."""

from __future__ import annotations

from bot.domain.routing import DEFAULT_CHECKLIST
from bot.services.ports import Ports


def checklist_for(ports: Ports, service: str, environment: str) -> str:
    """What services.yaml says of it, else `production`. Raises ServicesUnusable."""
    rule = ports.library.routing().of(service, environment)
    return rule.checklist or next(iter(rule.only), DEFAULT_CHECKLIST)
