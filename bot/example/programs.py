"""Programs of the example service: started in process groups of their own, awaited, and stopped whole.

What runs is written down, so that the next start can end what a killed run left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LOOPBACK = "127.0.0.1"
#: Where programs are looked for besides PATH: Debian keeps servers out of people's PATH.
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
#: Seconds a program has to become ready, and to end when asked to, before it is killed.
READY_S, STOP_S = 20.0, 6.0


class ExampleTrouble(Exception):
    """The example service cannot be run; `str()` is one sentence for people."""


def find(*names: str) -> str | None:
    """The path of the first of these programs that is installed."""
    path = f"{os.environ.get('PATH', '')}:{_SBIN}"
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def free_port() -> int:
    """A TCP port on loopback that nobody else is given for a minute.

    A port that is only looked up may be somebody's outgoing connection before a program listens there. So
    one connection is made to it and closed from the listening side: while the kernel keeps that end in
    TIME_WAIT (60 s on Linux) it hands the port to nobody, yet whoever sets SO_REUSEADDR, as servers do, may
    listen on it.
    """
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((LOOPBACK, 0))
        server.listen(1)
        port = int(server.getsockname()[1])
        with socket.create_connection((LOOPBACK, port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            client.recv(1)  # until the other side is seen to have closed first
    return port


async def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


async def answers(port: int, path: str) -> bool:
    """Whether a plain HTTP server there answers 200."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}\r\n\r\n".encode())
        status = await asyncio.wait_for(reader.readline(), 2)
        writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status


def command(argv: Sequence[str], *, user: str | None, dies_by: signal.Signals | None) -> list[str]:
    """The command that runs `argv` as a user, and ends it by a signal should the bot be killed.

    Only Linux has `setpriv`; elsewhere what a killed bot leaves behind is ended at the next start.
    """
    setpriv = find("setpriv")
    options: list[str] = []
    if user is not None:
        if setpriv is None:
            raise ExampleTrouble("setpriv is needed to run PostgreSQL as root: apt-get install util-linux")
        options += ["--reuid", user, "--regid", user, "--init-groups"]
    if dies_by is not None and setpriv is not None:
        options += ["--pdeathsig", dies_by.name.removeprefix("SIG")]
    return [str(setpriv), *options, "--", *argv] if options else list(argv)


@dataclass(eq=False, kw_only=True)
class Program:
    """A running program."""

    name: str
    process: asyncio.subprocess.Process
    #: The signal that asks it to end.
    stop_signal: signal.Signals

    @property
    def pid(self) -> int:
        """Of its first process, which is also the id of its group."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return self.process.returncode is None


class Programs:
    """Every program of one example service, whose logs and whose list are in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._record = folder / "programs.json"
        self._lock: IO[str] | None = None
        self._running: list[Program] = []
        #: Folders outside `folder` to remove at the end.
        self._elsewhere: list[Path] = []

    def claim(self) -> None:
        """Take the folder for this process, and end what a killed run left. Raises ExampleTrouble."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "logs").mkdir(exist_ok=True)
        lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise ExampleTrouble(f"another process runs the example service of {self._folder}") from None
        self._lock = lock
        try:
            left = json.loads(self._record.read_text())
        except (OSError, ValueError):
            return
        for entry in left.get("programs", ()):
            if entry["born"] and _born(entry["pid"]) == entry["born"]:
                _kill_group(entry["pid"])
        for path in left.get("folders", ()):
            shutil.rmtree(path, ignore_errors=True)
        self._record.unlink()

    @property
    def running(self) -> bool:
        """Whether everything that was started still runs."""
        return bool(self._running) and all(program.running for program in self._running)

    def keep_elsewhere(self, folder: Path) -> None:
        """Remove this folder too, at the end."""
        self._elsewhere.append(folder)
        self._write_record()

    async def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        ready: Callable[[], Awaitable[bool]],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> Program:
        """Start a program and wait until it is ready. Raises ExampleTrouble with the end of its log."""
        log = self._folder / "logs" / f"{name}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *command(argv, user=user, dies_by=stop_signal),
                cwd=cwd or "/",
                env={**os.environ, **env} if env else None,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        program = Program(name=name, process=process, stop_signal=stop_signal)
        self._running.append(program)
        self._write_record()
        try:
            async with asyncio.timeout(READY_S):
                while program.running and not await ready():  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise ExampleTrouble(f"{name} is not ready after {READY_S:g} s; see {log}") from None
        if not program.running:
            said = log.read_text(errors="replace").strip().splitlines()
            raise ExampleTrouble(f"{name} does not start: {said[-1] if said else 'it says nothing'}")
        return program

    async def stop(self, program: Program) -> None:
        """Ask it to end, then kill what is left of its group."""
        with contextlib.suppress(ProcessLookupError):
            program.process.send_signal(program.stop_signal)
        try:
            async with asyncio.timeout(STOP_S):
                await program.process.wait()
        except TimeoutError:
            pass
        finally:
            _kill_group(program.pid)
        await program.process.wait()
        if program in self._running:
            self._running.remove(program)
        self._write_record()

    async def stop_all(self) -> None:
        """Stop everything and give the folder back."""
        await asyncio.gather(*(self.stop(program) for program in [*self._running]))
        for folder in self._elsewhere:
            shutil.rmtree(folder, ignore_errors=True)
        self._record.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _write_record(self) -> None:
        programs = [{"name": one.name, "pid": one.pid, "born": _born(one.pid)} for one in self._running]
        folders = [str(folder) for folder in self._elsewhere]
        # In one step: a run killed meanwhile must not leave half a list.
        written = self._record.with_suffix(".new")
        written.write_text(json.dumps({"programs": programs, "folders": folders}))
        written.replace(self._record)


async def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
) -> str:
    """Run a program to its end; what it printed. Raises ExampleTrouble where it fails."""
    process = await asyncio.create_subprocess_exec(
        *command(argv, user=user, dies_by=signal.SIGKILL),
        cwd=cwd or "/",
        env={**os.environ, **env} if env else None,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            _kill_group(process.pid)
    if process.returncode:
        said = (err or out).decode(errors="replace").strip().splitlines()
        raise ExampleTrouble(f"{Path(argv[0]).name} failed: {said[-1] if said else 'it says nothing'}")
    return out.decode(errors="replace")


def _born(pid: int) -> str:
    """When a process began, as the system counts: tells it from a later one with the same id."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    ps = find("ps")
    if Path("/proc/self").exists() or ps is None:
        return ""
    done = subprocess.run([ps, "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _kill_group(pid: int) -> None:
    # The group bears the id of its first process, which may be gone while others live on.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
