"""Programs for checks: an argv list, no shell, a process group of their own that is killed whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bot.checks.kind import Broken, Finished

#: Where programs are looked for.
PATH = os.pathsep.join(("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"))
#: Largest file a program may write, in bytes.
LARGEST_FILE = 256 * 1024 * 1024


class LocalProcesses:
    """Runs programs on this machine."""

    def __init__(self, *, allow: Iterable[str] = (), search: Sequence[str] = ()) -> None:
        self._allow = frozenset(allow)
        self._path = os.pathsep.join([*search, PATH])

    def find(self, program: str) -> str | None:
        """The path of an installed program, or None."""
        return shutil.which(program, path=self._path)

    def allowed(self, program: str) -> bool:
        """Whether the sidecar's `commands` list allows this program: by the absolute path it names."""
        found = self.find(program)
        return found is not None and (found in self._allow or os.path.realpath(found) in self._allow)

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        max_bytes: int = 1_000_000,
    ) -> Finished:
        """Run a program to its end or its limit. Raises Broken where it cannot be started."""
        program = self.find(argv[0])
        if program is None:
            raise Broken(f"{argv[0]} is not installed on the machine the bot runs on")
        with tempfile.TemporaryDirectory(prefix="deploybot-check-") as home:
            clean = {"PATH": self._path, "LANG": "C.UTF-8", "HOME": home, "TMPDIR": home, **(env or {})}
            began = time.perf_counter()
            try:
                process = await asyncio.create_subprocess_exec(
                    program,
                    *argv[1:],
                    cwd=cwd,
                    env=clean,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    start_new_session=True,
                )
            except OSError as error:
                raise Broken(f"{argv[0]} cannot be started: {error.strerror}") from error
            timed_out = False
            try:
                _limit(process.pid, timeout)
                async with asyncio.timeout(timeout):
                    out, err, _ = await asyncio.gather(
                        _read(process.stdout, max_bytes),
                        _read(process.stderr, max_bytes),
                        _write(process.stdin, stdin),
                    )
                    await process.wait()
            except TimeoutError:
                timed_out, out, err = True, b"", b""
            finally:
                _kill_group(process.pid)
                await process.wait()
        return Finished(
            code=process.returncode if process.returncode is not None else -1,
            out=out[:max_bytes].decode("utf-8", "replace"),
            err=err[:max_bytes].decode("utf-8", "replace"),
            ms=(time.perf_counter() - began) * 1000,
            timed_out=timed_out,
            truncated=len(out) > max_bytes or len(err) > max_bytes,
        )


def _limit(pid: int, timeout: float) -> None:
    """Bound what the program can use up; it may have ended already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        cpu = int(timeout) + 5
        resource.prlimit(pid, resource.RLIMIT_CPU, (cpu, cpu))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


def _kill_group(pid: int) -> None:
    # The group bears the id of its first process, which may be gone while others live on.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


async def _read(stream: asyncio.StreamReader | None, most: int) -> bytes:
    """All of a stream, of which only a little more than `most` bytes are kept."""
    assert stream is not None
    kept = bytearray()
    while chunk := await stream.read(65536):
        if len(kept) <= most:
            kept += chunk
    return bytes(kept)


async def _write(stream: asyncio.StreamWriter | None, data: bytes) -> None:
    assert stream is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        if data:
            stream.write(data)
            await stream.drain()
        stream.close()
