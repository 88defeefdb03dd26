"""Figures over many deployments in words, with what they mean and how many cases they rest on."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.figures import ENOUGH, IN_SECONDS, STAMPED, Figures, ItemFigure, Middle
from bot.domain.spans import spoken

#: Most items named in each list.
NAMED = 5


def in_words(figures: Figures) -> str:
    """Plain text, one figure a line."""
    f = figures
    where = f"{f.service or 'all services'}, {f.environment or 'all environments'}"
    lines = [f"The last {f.days} days of {where}:"]
    if not f.deployments:
        lines.append(f"No deployment was live in this time{_left_out(f)}")
        return "\n".join(lines)
    times = "deployment" if f.deployments == 1 else "deployments"
    lines.append(f"• Deployment frequency: {f.a_week:.1f} a week ({f.deployments} {times}){_left_out(f)}")
    lines.append(f"• Change lead time, first commit to live: {_middle(f.lead_time, 'with known commits')}")
    if f.fail_rate is None:
        lines.append(f"• Change fail rate: {_few(f.deployments)} ({f.failed} of {f.deployments} failed)")
    else:
        lines.append(f"• Change fail rate: {100 * f.fail_rate:.0f} % ({f.failed} of {f.deployments})")
    lines.append(f"• Time to restore: {_middle(f.restore, 'failed and known to be over')}")
    if f.precision is None:
        about = f" ({f.alerts - f.dismissed} of {f.alerts} were about the deployment)" if f.alerts else ""
        lines.append(f"• Alert precision: {_few(f.alerts)}{about}")
    else:
        kept = f.alerts - f.dismissed
        lines.append(f"• Alert precision: {100 * f.precision:.0f} % ({kept} of {f.alerts}; drills left out)")
    shown = [one for one in f.sections if one.took.enough and one.took.value is not None]
    if shown:
        said = "; ".join(f"{one.title} {_spoken(one.took)} (n={one.took.n})" for one in shown)
        lines.append(f"• Sections, first tick to last, median: {said}")
    else:
        lines.append(f"• Sections: {_few(max((one.took.n for one in f.sections), default=0))}")
    lines += _items(
        f.stamped,
        "Rubber stamps",
        f"at least {100 * STAMPED:.0f} % ticked within {IN_SECONDS:.0f} s of the same person's tick before; "
        "automate them or drop them",
    )
    lines += _items(
        f.never_failed,
        "Checks that never failed",
        f"passed every time, in {ENOUGH} deployments or more; ask what they would catch",
    )
    lines.append(
        "A deployment counts once it was live: Go, the tick that says so, or the end. Failed is rolled back, "
        "or an alert after that (no drill) that nobody cleared as “not this deploy”, or aborted after that. "
        "Restored is: the rollback was verified, or the last alert was over. Definitions: dora.dev."
    )
    return "\n".join(lines)


def _left_out(f: Figures) -> str:
    parts = [f"{f.called_off} called off before they were live"] if f.called_off else []
    parts += [f"{f.under_way} not live yet"] if f.under_way else []
    return f". Not counted: {', '.join(parts)}." if parts else "."


def _few(n: int) -> str:
    return f"not enough data, n={n} of at least {ENOUGH}"


def _middle(middle: Middle, which: str) -> str:
    return (
        f"{_spoken(middle)}, median of {middle.n} {which}" if middle.enough else f"{_few(middle.n)} {which}"
    )


def _spoken(middle: Middle) -> str:
    return spoken(middle.value) if middle.value is not None else "–"


def _items(items: Sequence[ItemFigure], title: str, rule: str) -> list[str]:
    if not items:
        return []
    named = "; ".join(f"{one.text} ({one.times} of {one.n})" for one in items[:NAMED])
    more = f"; and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return [f"• {title} ({rule}): {named}{more}"]
