"""The `deploybot` command."""

from __future__ import annotations

import sys

import typer

from bot import __version__
from bot.cli import checklist, doctor, local, manifest, migrate, serve, verify
from bot.domain.errors import DeploybotError

app = typer.Typer(
    name="deploybot",
    help="Takes a team through a production deployment, in Slack.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(checklist.app, name="checklist")
app.command("serve")(serve.serve)
app.command("local")(local.local)
app.command("manifest")(manifest.print_manifest)
app.command("doctor")(doctor.doctor)
app.command("verify")(verify.verify)
app.command("migrate")(migrate.migrate)


@app.command("version")
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run the command; an error is a sentence and an exit code, never a stack trace."""
    try:
        app()
    except DeploybotError as error:
        print(f"deploybot: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
