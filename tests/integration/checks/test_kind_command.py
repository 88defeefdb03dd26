"""Programs of one's own, and how they are run: group kill, limits, a clean environment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.checks.kind import Broken
from bot.checks.processes import LocalProcesses
from bot.domain.check import Evidence, Outcome, Secret
from tests.checking import examine, make_context


def script(folder: Path, text: str, name: str = "check.sh") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def command(folder: Path, text: str, *arguments: str, timeout: float = 10.0, **more: Any) -> Evidence:
    path = script(folder, text)
    context = make_context(root=folder, commands=[str(path)])
    rules = {part: more.pop(part) for part in ("expect", "fail", "warn") if part in more}
    params = {"argv": [str(path), *arguments], **more}
    return await examine("command", params, context=context, timeout=timeout, **rules)


# ── the kind ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_program_that_succeeds_passes(tmp_path: Path) -> None:
    seen = await command(tmp_path, "echo fine; echo; echo really")
    assert (seen.outcome, seen.excerpt) == (Outcome.PASS, "fine\n\nreally")


async def test_a_program_that_fails_fails_with_its_last_words(tmp_path: Path) -> None:
    seen = await command(tmp_path, "echo starting; echo 'no route to host' >&2; exit 3")
    assert (seen.outcome, seen.observed) == (Outcome.FAIL, "exit code 3: no route to host")


async def test_values_are_taken_from_its_json(tmp_path: Path) -> None:
    text = """echo '{"nodes": [{"ready": true}, {"ready": false}]}'"""
    extract = {"nodes": "length(nodes)", "unready": "length(nodes[?!ready])", "nothing": "other.name"}
    seen = await command(tmp_path, text, extract=extract, expect={"nodes": 2}, fail={"unready": "> 1"})
    assert (seen.outcome, seen.values["unready"]) == (Outcome.PASS, 1), seen.reason
    seen = await command(tmp_path, text, extract=extract, warn={"unready": "> 0"})
    assert seen.outcome is Outcome.WARN
    seen = await command(tmp_path, text, extract=extract, fail={"nothing": "> 0"})
    assert seen.outcome is Outcome.UNKNOWN, "what was not found says nothing"


@pytest.mark.parametrize("text", ["echo hello", "exec 2>&1", "yes '[1, 2, 3]' | head -c 2000000"])
async def test_success_without_the_json_that_was_asked_for_is_an_error(tmp_path: Path, text: str) -> None:
    seen = await command(tmp_path, text, extract={"n": "n"})
    assert seen.outcome is Outcome.ERROR


async def test_failure_without_json_is_a_failure(tmp_path: Path) -> None:
    seen = await command(tmp_path, "echo oops; exit 1", extract={"n": "n"}, fail={"n": "> 1"})
    assert seen.outcome is Outcome.FAIL


async def test_arguments_reach_the_program_as_they_are(tmp_path: Path) -> None:
    seen = await command(tmp_path, 'printf "%s|" "$@"', "a b", "$(touch hacked)", "; exit 1")
    assert seen.excerpt == "a b|$(touch hacked)|; exit 1|"
    assert not (tmp_path / "hacked").exists()


async def test_a_secret_goes_into_its_environment_and_nowhere_else(tmp_path: Path) -> None:
    secret = Secret("token", "correct-horse-battery")
    path = script(tmp_path, 'echo "got $TOKEN"')
    context = make_context(root=tmp_path, commands=[str(path)])
    params = {"argv": [str(path)], "env": {"TOKEN": secret, "PLAIN": "x"}}
    seen = await examine("command", params, context=context, secrets=[secret])
    assert seen.outcome is Outcome.PASS
    assert seen.excerpt == "got •••"


async def test_only_listed_programs_are_run(tmp_path: Path) -> None:
    path = script(tmp_path, "touch ran")
    for argv in ([str(path)], ["sh", "-c", "touch ran"], ["./check.sh"]):
        seen = await examine("command", {"argv": argv}, context=make_context(root=tmp_path))
        assert (seen.outcome, "may not be run" in seen.reason) == (Outcome.ERROR, True)
    seen = await examine("command", {"argv": ["not-there"]}, context=make_context(root=tmp_path))
    assert (seen.outcome, "not installed" in seen.reason) == (Outcome.ERROR, True)
    assert not (tmp_path / "ran").exists()
    listed = make_context(root=tmp_path, commands=[str(path)])
    assert (await examine("command", {"argv": ["./check.sh"]}, context=listed)).outcome is Outcome.PASS
    for cwd in ("..", "/", "nowhere"):
        seen = await examine("command", {"argv": [str(path)], "cwd": cwd}, context=listed)
        assert seen.outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"extract": {"n": "[["}}, "extract n"),
        ({"extract": {"ms": "n"}}, "a value of its own"),
        ({"env": {"LD_PRELOAD": "x.so"}}, "cannot be set"),
        ({"env": {"A=B": "x"}}, "cannot be set"),
    ],
)
async def test_parameters_that_make_no_sense_are_found_before(params: dict[str, Any], why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        await examine("command", {"argv": ["x"], **params})


async def test_a_program_that_does_not_end_fails_once_and_takes_its_children_along(tmp_path: Path) -> None:
    """Grandchildren in the background, too: one of them would have written a file."""
    text = (
        f"echo run >> {tmp_path}/runs; (sh -c 'sleep 61 & echo $! > {tmp_path}/grandchild; wait') & sleep 60"
    )
    path = script(tmp_path, text)
    context = make_context(root=tmp_path, commands=[str(path)])
    seen = await examine("command", {"argv": [str(path)]}, context=context, timeout=1.0, attempts=2)
    assert (seen.outcome, "did not end within 1 s" in seen.reason) == (Outcome.FAIL, True)
    assert (tmp_path / "runs").read_text() == "run\n", "what acts is not tried again"
    await gone(int((tmp_path / "grandchild").read_text()))


# ── how programs are run ─────────────────────────────────────────────────────────────────────────────────


def lives(pid: int) -> bool:
    """Whether a process is there and not only waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid: int) -> None:
    """Wait until a process is gone."""
    for _ in range(200):
        if not lives(pid):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"process {pid} lives")


def content(path: Path) -> str:
    """What a file says; nothing where there is none yet."""
    return path.read_text().strip() if path.exists() else ""


async def written(path: Path) -> str:
    """Wait for a file, and read it."""
    for _ in range(500):
        if text := content(path):
            return text
        await asyncio.sleep(0.02)
    raise AssertionError(f"{path.name} was not written")


async def test_a_cancelled_check_kills_the_whole_group(tmp_path: Path) -> None:
    path = script(tmp_path, f"sleep 62 & echo $! > {tmp_path}/child; wait")
    running = asyncio.create_task(LocalProcesses().run([str(path)], timeout=60))
    child = int(await written(tmp_path / "child"))
    assert lives(child)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await gone(child)


async def test_what_is_left_in_the_background_is_killed_when_the_program_ends(tmp_path: Path) -> None:
    path = script(tmp_path, f"sleep 63 >/dev/null 2>&1 & echo $! > {tmp_path}/child; exit 0")
    finished = await LocalProcesses().run([str(path)], timeout=20)
    assert (finished.code, finished.timed_out) == (0, False)
    await gone(int((tmp_path / "child").read_text()))


async def test_a_program_killed_at_its_limit_says_so(tmp_path: Path) -> None:
    path = script(tmp_path, "echo early; sleep 64")
    finished = await LocalProcesses().run([str(path)], timeout=0.3)
    assert finished.timed_out
    assert finished.code < 0


async def test_output_is_cut_at_its_limit_and_drained(tmp_path: Path) -> None:
    path = script(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2; exit 4")
    finished = await LocalProcesses().run([str(path)], timeout=20, max_bytes=1000)
    assert (finished.code, len(finished.out), finished.err) == (4, 1000, "end\n")
    assert finished.truncated


async def test_the_environment_holds_nothing_of_the_bots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    finished = await LocalProcesses().run(["env"], timeout=20, env={"ONLY": "this"})
    names = {line.partition("=")[0] for line in finished.out.splitlines()}
    assert names - {"_", "PWD", "SHLVL"} == {"PATH", "LANG", "HOME", "TMPDIR", "ONLY"}
    home = next(line for line in finished.out.splitlines() if line.startswith("HOME="))
    assert "deploybot-check-" in home, "its home is its own"


async def test_a_program_reads_what_it_is_given(tmp_path: Path) -> None:
    finished = await LocalProcesses().run(["cat"], timeout=20, stdin=b"hello", cwd=tmp_path)
    assert (finished.out, finished.code) == ("hello", 0)
    ignored = await LocalProcesses().run(["true"], timeout=20, stdin=b"x" * 1_000_000)
    assert ignored.code == 0


async def test_a_missing_program_and_one_that_cannot_run_are_said_so(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="not-there is not installed"):
        await LocalProcesses().run(["not-there"], timeout=1)
    path = tmp_path / "garbage"
    path.write_bytes(b"\x00\x01")
    path.chmod(0o755)
    with pytest.raises(Broken, match="cannot be started"):
        await LocalProcesses().run([str(path)], timeout=1)


def test_a_listed_program_is_allowed_by_its_path_and_through_a_link(tmp_path: Path) -> None:
    real = script(tmp_path, "exit 0", "real")
    (tmp_path / "linked").symlink_to(real)
    processes = LocalProcesses(allow=[str(real)], search=[str(tmp_path)])
    assert processes.allowed("real")
    assert processes.allowed("linked")
    assert not processes.allowed("sh")
    assert not processes.allowed("not-there")
