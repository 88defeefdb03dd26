"""The `deploybot` command."""

from __future__ import annotations

import sys

import typer

from bot import __version__
from bot.cli import (
    backtest,
    check,
    checklist,
    doctor,
    explain,
    installations,
    kinds,
    local,
    manifest,
    migrate,
    report,
    serve,
    stats,
    verify,
    webhooks,
)
from bot.domain.errors import DeploybotError, SidecarUnusable

app = typer.Typer(
    name="deploybot",
    help="Takes a team through a production deployment, in Slack.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(checklist.app, name="checklist")
checklist.app.command("explain")(explain.explain)
checklist.app.command("kinds")(kinds.kinds)
checklist.app.command("schema")(explain.schema)
app.command("check")(check.check)
app.command("backtest")(backtest.backtest)
app.command("serve")(serve.serve)
app.command("local")(local.local)
app.command("manifest")(manifest.print_manifest)
app.command("doctor")(doctor.doctor)
app.command("installations")(installations.installations)
app.command("rotate-keys")(installations.rotate_keys)
app.command("new-key")(installations.make_key)
app.command("verify")(verify.verify)
app.command("report")(report.report)
app.command("stats")(stats.stats)
app.command("migrate")(migrate.migrate)
app.command("webhook-schema")(webhooks.schema)


@app.command("version")
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run the command; an error is a sentence and an exit code, never a stack trace."""
    try:
        app()
    except SidecarUnusable as error:
        for problem in error.problems:
            print(f"deploybot: {error.path}: {problem}", file=sys.stderr)
        sys.exit(2)
    except DeploybotError as error:
        print(f"deploybot: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
