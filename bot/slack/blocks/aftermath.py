"""What the card says of the time after the deploy: raised triggers, the rollback, the watch's verdict."""

from __future__ import annotations

from bot.domain import rollback
from bot.domain.deployment import Deployment, Phase
from bot.domain.monitoring import Verdict
from bot.domain.watching import TriggerState, Watch
from bot.slack.blocks import words
from bot.slack.mrkdwn import mrkdwn, shorten
from bot.templates import escape

#: Most triggers and signals named on the card.
NAMED = 4
_PHASES = {Phase.IN_PROGRESS: "🚀", Phase.FINISHED: "✅", Phase.ABORTED: "🛑"}
_MARKS = {Verdict.HEALTHY: "💚", Verdict.DEGRADED: "🔻", Verdict.INCONCLUSIVE: "❔"}


def phase(deployment: Deployment) -> str:
    """The rollback as the deployment's phase: `Rolling back, step 2 of 6`; empty without one."""
    progress = rollback.progress(deployment)
    if progress is None:
        return ""
    left = progress.total - progress.done
    if progress.over:
        return f"Rolled back, {left} {'step' if left == 1 else 'steps'} left" if left else "Rolled back"
    if progress.current is None:
        return "Rolling back"
    return f"Rolling back, step {progress.current.number} of {progress.total}"


def mark(deployment: Deployment) -> str:
    """The phase as a mark: what was finished with a rollback is no success."""
    if deployment.phase is Phase.FINISHED and deployment.aftermath.rollback is not None:
        return "↩️"
    return _PHASES[deployment.phase]


def at_the_end(deployment: Deployment) -> str:
    """How far the rollback was at the end, as words go on: ` while rolling back (step 2 of 6)`, or empty."""
    progress = rollback.progress(deployment)
    if progress is None:
        return ""
    if progress.over:
        return ", rolled back"
    if progress.current is None:
        return " while rolling back"
    return f" while rolling back (step {progress.current.number} of {progress.total})"


def lines(deployment: Deployment) -> list[str]:
    """Lines of mrkdwn; none where nothing happened yet."""
    after = deployment.aftermath
    found: list[str] = []
    raised = after.raised
    for trigger in raised[:NAMED]:
        title = shorten(mrkdwn(trigger.title).replace("*", ""), 200)
        who = "nobody has acknowledged it"
        if trigger.state is TriggerState.ACKNOWLEDGED:
            who = f"acknowledged by {words.mention(trigger.acknowledged_by)}"
        if not deployment.phase.open:
            who = "it was not cleared"
        back = ", back to normal since" if trigger.recovered_at is not None else ""
        found.append(f"🚨 *{title}*: {who}{back}")
    if len(raised) > NAMED:
        found.append(f"🚨 and {len(raised) - NAMED} more rollback triggers")
    if after.rollback is not None:
        said = shorten(escape(after.rollback.why), 500)
        found.append(f"↩️ *Rollback* by {words.mention(after.rollback.by)}: {said}")
    watched = watch(after.watch)
    if watched:
        found.append(shorten(escape(watched), 1000))
    return found


def watch(state: Watch | None) -> str:
    """What the watch says, in plain text: the verdict and why; before the deploy, what it would see."""
    if state is None:
        return ""
    if state.begun_at is None:
        return f"👀 Watch: {' '.join(state.power).removesuffix('.')}" if state.power else ""
    over = "" if state.ended_at is None else " (over)"
    said = f"{_MARKS[state.verdict]} Watch{over}: {state.verdict.value}"
    if state.verdict is Verdict.HEALTHY:
        return said
    reasons = [
        f"{state.labels.get(name, name)}: {judged.said}"
        for name, judged in state.judged.items()
        if judged.verdict is state.verdict
    ]
    missing = [label for name, label in state.labels.items() if name not in state.judged]
    if state.verdict is Verdict.INCONCLUSIVE and missing:
        reasons.append(f"{', '.join(missing)} not judged yet")
    return f"{said}: {'; '.join(reasons[:NAMED])}" if reasons else said
