"""What people type and see: usage errors, questions on a terminal, colours only there (DESIGN.md section 6)."""

import os
import pty
import select
import subprocess
import time

import pytest

from world import *


def with_orphan(world):
    world.live("1", "2")
    world.put("orphan")
    return world


def on_terminal(world, *args, answer=None, env=None):
    """Runs with a terminal as standard input, output and error; returns exit code and all it showed."""
    main, side = pty.openpty()
    popen = subprocess.Popen(world.command(*args, as_json=False), stdin=side, stdout=side, stderr=side, cwd=world.root,
                             env={**world.environment(env), "TERM": "xterm"}, start_new_session=True)
    world.processes.append(popen)
    os.close(side)
    shown = b""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if select.select([main], [], [], 0.05)[0]:
            try:
                piece = os.read(main, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
            if answer is not None and b"Type 'yes'" in shown:
                os.write(main, answer)
                answer = None
    os.close(main)
    return popen.wait(30), shown


def test_without_a_terminal_and_without_yes_nothing_is_deleted(world):
    with_orphan(world)
    assert world.run("apply").expect(NOT_APPROVED).error["hint"]
    assert world.run("apply", input=b"yes\n").expect(NOT_APPROVED)
    assert world.has("orphan")


@pytest.mark.parametrize("answer, deleted", [(b"yes\n", True), (b"no\n", False), (b"y\n", False), (b"YES\n", False), (b"\n", False), (b"\x04", False)])
def test_on_a_terminal_it_asks_and_only_yes_means_yes(world, answer, deleted):
    code, shown = on_terminal(with_orphan(world), "apply", answer=answer)
    assert b"Delete 1 object" in shown and b"to be deleted" in shown
    assert code == (OK if deleted else NOT_APPROVED), shown
    assert world.has("orphan") != deleted


def test_an_approved_plan_and_yes_do_not_ask(world):
    with_orphan(world).plan().expect(OK)
    code, shown = on_terminal(world, "apply", world.plan_file)
    assert code == OK and b"Type" not in shown and not world.has("orphan")
    world.put("orphan")
    code, shown = on_terminal(world, "apply", "--yes")
    assert code == OK and b"Type" not in shown and not world.has("orphan")


def test_with_nothing_to_delete_it_does_not_ask(world):
    world.live("1", "2")
    code, shown = on_terminal(world, "apply")
    assert code == OK and b"Type" not in shown


def test_colours_are_for_terminals_and_can_be_refused(world):
    with_orphan(world)
    world.rows("gopher://x")
    code, shown = on_terminal(world, "scan")
    assert code == REFUSED and b"\x1b[31mrefused" in shown
    code, shown = on_terminal(world, "scan", env={"NO_COLOR": "1"})
    assert code == REFUSED and b"refused" in shown and b"\x1b[31m" not in shown and b"\x1b[1m" not in shown


@pytest.mark.parametrize("args, word", [
    ([], "command"), (["scann"], "'scan'"), (["scan", "--jsn"], "--jsn"), (["plan"], "--out"), (["show"], "FILE"), (["explain"], "OBJECT"),
    (["plan", "-o", "p", "--limit", "many"], "--limit"), (["plan", "-o", "p", "--limit", "-1"], "--limit"), (["scan", "too", "many"], "too"),
    (["scan", "--accept", "orphan_rati"], "orphan_ratio"), (["scan", "--accept"], "--accept"), (["runs", "shw"], "shw"),
], ids=str)
def test_a_mistyped_command_line_is_a_usage_error_with_a_hint(world, args, word):
    for as_json in (True, False):
        failed = world.run(*args, config=False, as_json=as_json).expect(USAGE)
        told = str(failed.last) if as_json else failed.err.decode()
        assert word in told, failed.story
        assert as_json or failed.out == b""


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["scan", "--help"], ["plan", "--help"], ["apply", "--help"], ["runs", "show", "--help"]], ids=str)
def test_help_and_version_are_no_errors(world, args):
    shown = world.run(*args, config=False, as_json=False).expect(OK)
    assert b"heimdall-storage" in shown.out or b"Usage" in shown.out or b"OPTIONS" in shown.out
    assert shown.err == b""


def test_help_names_every_command(world):
    shown = world.run("--help", config=False, as_json=False).expect(OK).out.decode()
    for command in ("doctor", "scan", "plan", "show", "explain", "apply", "recover", "stats", "runs", "--config", "--state", "--bucket", "--json"):
        assert command in shown


def test_quiet_says_nothing_on_standard_error(world):
    with_orphan(world).scan().expect(OK)
    assert world.scan("--quiet").expect(OK).err == b""


def test_errors_stand_on_standard_error_and_results_on_standard_output(world):
    with_orphan(world)
    world.database.unlink()
    failed = world.scan(as_json=False).expect(UNREACHABLE)
    assert failed.out == b"" and b"error: " in failed.err
