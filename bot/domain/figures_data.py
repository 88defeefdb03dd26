"""Figures for programs."""

from __future__ import annotations

from collections.abc import Iterable

from bot.domain.figures import ENOUGH, Figures, ItemFigure, Middle


def figures_to_json(figures: Figures) -> dict[str, object]:
    """For programs: spans are seconds, shares from 0 to 1; null where there is too little to say."""

    def middle(one: Middle) -> dict[str, object]:
        value = one.value.total_seconds() if one.value is not None and one.enough else None
        return {"median_seconds": value, "n": one.n}

    def items(listed: Iterable[ItemFigure]) -> list[dict[str, object]]:
        return [{"text": one.text, "times": one.times, "n": one.n} for one in listed]

    f = figures
    return {
        "format": 1,
        "service": f.service or None,
        "environment": f.environment or None,
        "days": f.days,
        "until": f.until.isoformat(),
        "enough": ENOUGH,
        "deployments": f.deployments,
        "called_off": f.called_off,
        "under_way": f.under_way,
        "deployments_a_week": round(f.a_week, 3),
        "lead_time": middle(f.lead_time),
        "change_fail_rate": {"rate": f.fail_rate, "failed": f.failed, "n": f.deployments},
        "time_to_restore": middle(f.restore),
        "sections": [{"title": one.title, **middle(one.took)} for one in f.sections],
        "rubber_stamps": items(f.stamped),
        "never_failed": items(f.never_failed),
        "alert_precision": {"precision": f.precision, "dismissed": f.dismissed, "n": f.alerts},
        "drills": f.drills,
        "weeks": [
            {"monday": one.monday.isoformat(), "deployments": one.deployments, "failed": one.failed}
            for one in f.weeks
        ],
    }
