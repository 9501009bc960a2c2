"""What people and programs see, word by word: tests/golden. HEIMDALL_STORAGE_TEST_ACCEPT=1 rewrites the files."""

import os
import pathlib
import re

import pytest

from world import *

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"


def steady(world, text):
    """The text without what differs from run to run. What replaces it is as wide where columns depend on it."""
    for pattern, replacement in [
            (re.escape(str(world.root)), "/world"),
            (r"\d{8}T\d{6}Z-[0-9a-f]{6}", "20260102T030405Z-abcdef"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", lambda m: "2026-01-02T03:04:05Z"),
            (r"2026-\d\d-\d\d \d\d:\d\d", "2026-01-02 03:04"),
            (r"\b[0-9a-f]{64}\b", "0" * 64),
            (r"directory:[0-9a-f]+:\d+", "directory:DEVICE:INODE"),
            (r'"ranges":\d+', '"ranges":1'),
            (r"\.db#\d+", ".db#INODE"),
            (r'"etag":"[^"]*"', '"etag":"TAG"'),
            (r'"execution_time_seconds":[-0-9.e]+', '"execution_time_seconds":0.1'),
            (r'"((sweep|recheck|compare|journal|delete)_seconds|delete_rate)":[-0-9.e]+', r'"\1":0.1'),
            (r"in \d+\.\d s \([\d,]+/s; (\d) at a time\)", r"in SHORT (FAST/s; \1 at a time)"),
            (r"(recheck|compare|journal|delete) \d+ %", r"\1 SHARE"),
            (r'("version":)"\d+\.\d+\.\d+"', r'\1"VERSION"'),
            (r"heimdall-storage \d+\.\d+\.\d+", "heimdall-storage VERSION"),
            (r"\b\d+(\.\d+)? (µs|us|ms|s)(?=[ .,)])", "SHORT"),
            (r"for (the\s+first\s+time|SHORT)", "for a while")]:
        text = re.sub(pattern, replacement, text)
    # Lines are wrapped by the width of what was replaced: what matters here are the words.
    return text


def unwrapped(text):
    """Joins what was wrapped: where a sentence breaks depends on the length of paths. Rows of tables stay."""
    lines = []
    for line in text.splitlines():
        words = line.lstrip()
        row = "  " in words.rstrip() or line.endswith(" ")
        new = row or words.startswith(("- ", "fix: ", "no reference", "If this")) or len(line) - len(words) < 4
        if new or not lines:
            lines.append(line)
        else:
            lines[-1] += " " + words
    return "".join(line + "\n" for line in lines)


@pytest.fixture
def shop(world):
    world.bucket.update(protect=["keep/**"], grace="1h", description="Pictures")
    world.live(*[f"pictures/{i}.jpg" for i in range(6)])
    world.rows("pictures/lost.jpg", None, "")
    world.put("pictures/orphan 1.jpg", data=b"x" * 3000)
    world.put("odd/new\nline", b"odd/\xff", data=b"x" * 1_500_000)
    world.put("keep/logo.svg", data=b"x" * 99)
    world.put("pictures/new.jpg", age=DAY)
    world.scan().expect(OK)
    return world


def refuse(world):
    world.bucket["guards"] = {"max_deletes": 1}
    world.rows("gopher://host/x")


def break_it(world):
    world.reference["query"] = "SELECT missing FROM files"


def plan_now(world):
    world.plan("--ignore-grace").expect(OK)


def delete_now(world):
    plan_now(world)
    world.rows("pictures/orphan 1.jpg")
    world.apply().expect(OK)


def schedule_it(world):
    world.config["schedules"] = [
        {"name": "minio-lifecycle-cleanup", "task": "cleanup", "cron": "0 3 * * *", "time_zone": "Europe/Rome"},
        {"name": "minio-storage-stats", "task": "stats", "every": "1h", "jitter": "5m"}]


CASES = {
    "help": (None, ["--help"]),
    "help-apply": (None, ["apply", "--help"]),
    "version": (None, ["--version"]),
    "usage": (None, ["scann"]),
    "scan": (None, ["scan"]),
    "scan-refused": (refuse, ["plan", "-o", "p.plan", "--ignore-grace"]),
    "scan-accepted": (refuse, ["plan", "-o", "p.plan", "--ignore-grace", "--accept", "max_deletes", "--accept", "unmapped_references"]),
    "scan-failed": (break_it, ["scan"]),
    "plan-nothing": (None, ["plan", "-o", "p.plan"]),
    "plan": (None, ["plan", "-o", "p.plan", "--ignore-grace"]),
    "show": (plan_now, ["show", "p.plan"]),
    "show-keys": (plan_now, ["show", "--keys", "p.plan"]),
    "apply": (plan_now, ["apply", "p.plan", "--keys"]),
    "apply-used": (delete_now, ["apply", "p.plan"]),
    "runs": (delete_now, ["runs"]),
    "stats": (None, ["stats"]),
    "recover": (None, ["recover"]),
    "schedules": (schedule_it, ["schedules", "--from", "2026-10-25T00:00:00Z", "--count", "3"]),
    "schedules-none": (None, ["schedules"]),
    "doctor": (None, ["doctor"]),
    "doctor-failed": (break_it, ["doctor"]),
    "explain-referenced": (None, ["explain", "s3://media/pictures/1.jpg"]),
    "explain-grace": (None, ["explain", "s3://media/pictures/orphan 1.jpg"]),
    "explain-young": (None, ["explain", "s3://media/pictures/new.jpg"]),
    "explain-protected": (None, ["explain", "s3://media/keep/logo.svg"]),
    "explain-absent": (None, ["explain", "s3://media/pictures/lost.jpg"]),
}


def compare(name, text):
    file = GOLDEN / name
    if os.environ.get("HEIMDALL_STORAGE_TEST_ACCEPT") == "1":
        file.write_text(text)
        pytest.skip(f"{file.name} was written anew")
    assert text == (file.read_text() if file.exists() else ""), f"{file} differs; HEIMDALL_STORAGE_TEST_ACCEPT=1 rewrites it"


@pytest.mark.parametrize("form", ["txt", "jsonl"])
@pytest.mark.parametrize("case", CASES)
def test_output_is_as_it_was(shop, case, form):
    prepare, args = CASES[case]
    if form == "jsonl" and case.startswith(("help", "version")):
        pytest.skip("help is text")
    if prepare:
        prepare(shop)
    result = shop.run(*args, as_json=form == "jsonl", config=not case.startswith(("help", "version", "usage")))
    text = steady(shop, unwrapped(result.out.decode()) if form == "txt" and not case.startswith("help") else result.out.decode())
    shown = " ".join(["heimdall-storage", *args])
    errors = steady(shop, unwrapped(result.err.decode()))
    compare(f"{case}.{form}", f"$ {shown}\n{text}" + (f"--- stderr\n{errors}" if errors else "") + f"--- exit {result.code}\n")
