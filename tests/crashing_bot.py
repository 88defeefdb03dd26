"""A bot that kills itself with SIGKILL at its n-th write: `python -m tests.crashing_bot N`.

Settings come from the environment, as for `deploybot serve`. A write point is: before each statement that
writes, before each COMMIT and after it. The writes are counted through SQLAlchemy's own engine events; the
bot's code is as it ships. With N = 0 it never dies, and prints how many points it passed when it is stopped.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from sqlalchemy import event

from bot.app import Application
from bot.cli.serve import until_stopped
from bot.config import Settings, set_up_logging

WRITES = ("INSERT", "UPDATE", "DELETE")


class Countdown:
    """Counts write points and dies at one of them."""

    def __init__(self, die_at: int) -> None:
        self.passed = 0
        self._die_at = die_at
        self._wrote = False

    def point(self) -> None:
        """One more; the last one the process sees if it is the chosen one."""
        self.passed += 1
        if self.passed == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def statement(self, _c: Any, _cursor: Any, sql: str, *_rest: Any) -> None:
        """Before a statement."""
        if sql.lstrip().upper().startswith(WRITES):
            self._wrote = True
            self.point()

    def commit(self, _connection: Any) -> None:
        """Before a COMMIT."""
        if self._wrote:
            self.point()

    def returned(self, _dbapi: Any, _record: Any) -> None:
        """After a COMMIT: the connection goes back to the pool."""
        if self._wrote:
            self._wrote = False
            self.point()


async def main(die_at: int) -> None:
    """Run until stopped, or dead."""
    set_up_logging("WARNING")
    application = Application(Settings())
    countdown = Countdown(die_at)
    engine = application.ports.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", countdown.statement)
    event.listen(engine, "commit", countdown.commit)
    event.listen(engine, "checkin", countdown.returned)
    try:
        await application.start()
        await until_stopped()
    finally:
        await application.stop()
    print(countdown.passed, flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
