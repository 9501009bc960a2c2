"""A plan is sealed, expires, works once, and only under the configuration it was made with (exit 5)."""

import shutil

import pytest

from world import *


@pytest.fixture
def planned(world):
    world.live("1", "2")
    world.put("orphan", "lost")
    world.plan().expect(OK)
    return world


def refuses(world, code=STALE, **options):
    rehearsed = world.apply("--dry-run", **options).expect(code)
    refused = world.apply(**options).expect(code)
    assert rehearsed.error == refused.error
    assert refused.error["message"] and refused.error["hint"], refused.story
    assert {b"orphan", b"lost"} <= world.keys()
    return refused


def test_a_plan_works_once(planned):
    planned.apply().expect(OK)
    planned.put("orphan", "lost")
    refuses(planned)
    planned.run("show", planned.plan_file).expect(OK)


def test_a_copy_of_a_used_plan_is_used_too(planned):
    shutil.copy(planned.plan_file, planned.root / "copy")
    planned.apply().expect(OK)
    planned.run("apply", planned.root / "copy").expect(STALE)


@pytest.mark.parametrize("part", range(12))
def test_a_plan_altered_in_any_byte_is_refused(planned, part):
    plan = bytearray(planned.plan_file.read_bytes())
    plan[(len(plan) - 1) * part // 11] ^= 0x01
    planned.plan_file.write_bytes(plan)
    refuses(planned)
    planned.run("show", planned.plan_file).expect(STALE)


@pytest.mark.parametrize("part", range(6))
def test_a_plan_that_was_cut_is_refused(planned, part):
    plan = planned.plan_file.read_bytes()
    planned.plan_file.write_bytes(plan[:(len(plan) - 1) * part // 5])
    refuses(planned)
    planned.run("show", "--keys", planned.plan_file).expect(STALE)


def test_a_plan_with_something_behind_its_end_is_refused(planned):
    planned.plan_file.write_bytes(planned.plan_file.read_bytes() + b"\0")
    refuses(planned)


def test_what_is_no_plan_is_refused(planned):
    shutil.copy(planned.config_file, planned.plan_file)
    refuses(planned)


def test_a_plan_that_is_not_there_is_no_stale_plan(planned):
    planned.plan_file.unlink()
    refuses(planned, FAILURE)


@pytest.mark.parametrize("change", [
    lambda world: world.bucket.update(protect=["keep/**"]),
    lambda world: world.bucket.update(prefixes=["in/"]),
    lambda world: world.bucket.update(min_age="29d"),
    lambda world: world.bucket.update(aliases=["old"]),
    lambda world: world.reference.update(query="SELECT ref FROM files "" WHERE 1"),
    lambda world: world.reference.update(companions=["{key}.sha256"]),
    lambda world: world.reference.update({"as": "key"}),
    lambda world: world.bucket["references"].append({"list": "keys"}),
])
def test_a_plan_is_stale_when_what_decides_has_changed(planned, change):
    (planned.root / "keys").write_text("1\n")
    change(planned)
    refuses(planned)


@pytest.mark.parametrize("change", [
    lambda world: world.bucket.update(guards={"max_orphan_ratio": 0.1}),
    lambda world: world.bucket.update(batch_size=1),
    lambda world: world.bucket.update(description="other words"),
])
def test_a_plan_survives_a_change_that_decides_nothing(planned, change):
    change(planned)
    planned.apply().expect(OK)
    assert planned.keys() == {b"1", b"2"}


def test_a_dry_run_tells_that_the_mode_forbids_it_and_that_the_bucket_is_another_one(planned):
    planned.bucket["mode"] = "report"
    refuses(planned, NOT_APPROVED)
    planned.bucket["mode"] = "delete"
    planned.media.rename(planned.root / "elsewhere")
    planned.live("1", "2")
    assert planned.apply("--dry-run").expect(REFUSED).guards() == planned.apply().expect(REFUSED).guards() == ["identity_changed"]


def test_a_plan_for_a_bucket_that_is_gone_from_the_configuration_is_refused(planned):
    planned.bucket["name"] = "renamed"
    refuses(planned)


def test_an_expired_plan_is_refused_and_can_still_be_shown(planned, faketime):
    refuses(planned, wrapper=faketime("+25h"))
    shown = planned.run("show", planned.plan_file, wrapper=faketime("+25h"), as_json=False).expect(OK)
    assert b"expired" in shown.out


def test_a_plan_from_the_future_is_refused(planned, faketime):
    refuses(planned, wrapper=faketime("-1h"))


def test_show_needs_no_configuration(planned):
    shown = planned.run("show", planned.plan_file, config=False).expect(OK)
    assert shown.of("plan")[0]["candidates"] == 2
    listed = planned.run("show", "--keys", planned.plan_file, config=False).expect(OK).of("candidate")
    for line in listed:
        assert {"bucket", "key", "size", "last_modified", "etag", "reason"} <= line.keys() and line["reason"]


def test_a_plan_is_written_whole_or_not_at_all(world):
    world.live("1", "2")
    world.put("orphan")
    world.plan().expect(OK)
    before = world.plan_file.read_bytes()
    world.put(*[f"lost{i}" for i in range(9)])
    world.plan().expect(REFUSED)
    assert not world.plan_file.exists() or world.plan_file.read_bytes() == before
    assert sorted(path.name for path in world.root.iterdir() if "plan" in path.name) in ([], ["p.plan"])


@pytest.mark.parametrize("happens, outcome, left", [
    (lambda w: w.put("orphan", data=b"other bytes"), "skipped_changed", True),
    (lambda w: w.put("orphan", age=80 * DAY), "skipped_changed", True),
    (lambda w: os.unlink(w.path("orphan")), "already_gone", False),
    (lambda w: os.rename(w.path("orphan"), w.path("moved")), "already_gone", False),
    (lambda w: w.rows("orphan"), "skipped_referenced", True),
    (lambda w: w.rows("s3://media/orphan"), "skipped_referenced", True),
    # A directory and a link are no objects, so the key is absent, and what is there stays.
    (lambda w: (os.unlink(w.path("orphan")), os.mkdir(w.path("orphan"))), "already_gone", True),
    (lambda w: (os.unlink(w.path("orphan")), os.symlink(w.path("1"), w.path("orphan"))), "already_gone", True),
], ids=["rewritten", "touched", "removed", "renamed", "named again", "named again as uri", "now a directory", "now a link"])
def test_only_what_was_planned_is_deleted(planned, happens, outcome, left):
    happens(planned)
    applied = planned.apply("--keys").expect(OK)
    assert applied.outcomes() == {b"lost": "deleted", b"orphan": outcome}
    assert planned.has("orphan") == left and not planned.has("lost")
    assert {b"1", b"2"} <= planned.keys()
    figures = applied.figures()
    assert figures["orphans_deleted"] == 1
    assert figures["skipped_changed"] == (outcome == "skipped_changed")
    assert figures["skipped_referenced"] == (outcome == "skipped_referenced")


def test_a_file_rewritten_with_the_same_bytes_and_date_is_another_object(planned):
    when = os.stat(planned.path("orphan")).st_mtime_ns
    os.unlink(planned.path("orphan"))
    planned.put("stand-in")  # so that the inode is not handed out again
    planned.put("orphan")
    os.utime(planned.path("orphan"), ns=(when, when))
    assert planned.apply("--keys").expect(OK).outcomes()[b"orphan"] == "skipped_changed"
    assert planned.has("orphan")


WRITERS = pytest.mark.parametrize("writer", [("plan", "-o"), ("scan", "--dangling")], ids=lambda writer: writer[0])


@WRITERS
@pytest.mark.parametrize("name", ["no/such/file", "directory", "pipe", "link", "media/file", "state/file", "heimdall.yaml", "app.db", "keys"])
def test_a_file_that_may_not_be_written_there_is_refused_before_the_scan(world, writer, name):
    world.live("1", "2")
    world.rows("gone")
    world.bucket["references"].append({"list": "keys"})
    (world.root / "keys").write_text("1\n")
    (world.root / "directory").mkdir()
    os.mkfifo(world.root / "pipe")
    (world.root / "link").symlink_to(world.root / "target")
    before = {path: path.lstat().st_ino for path in world.root.iterdir()}
    refused = world.run(*writer, world.root / name).expect(USAGE)
    assert refused.error["code"] == "invalid_argument" and name in refused.error["message"] and refused.error["hint"]
    before.setdefault(world.state, world.state.lstat().st_ino)
    before.setdefault(world.config_file, world.config_file.lstat().st_ino)
    assert {path: path.lstat().st_ino for path in world.root.iterdir()} == before
    assert world.run("runs").expect(OK).of("run") == []


def test_a_plan_goes_where_a_plan_or_an_empty_file_lies(planned):
    planned.plan().expect(OK)
    planned.plan_file.write_bytes(b"")
    planned.plan().expect(OK)
    planned.apply().expect(OK)


def test_the_file_of_dangling_references_touches_no_other(world):
    world.live("1", "2")
    world.rows("gone")
    (world.root / "d.part").write_text("mine")
    (world.root / "d").write_text("old")
    world.scan("--dangling", world.root / "d").expect(OK)
    assert (world.root / "d").read_text().count("gone") and (world.root / "d.part").read_text() == "mine"
    assert sorted(path.name for path in world.root.iterdir() if path.name.startswith("d")) == ["d", "d.part"]
    world.sql("ALTER TABLE files RENAME TO elsewhere")
    assert world.scan("--dangling", world.root / "d").code == FAILURE
    assert sorted(path.name for path in world.root.iterdir() if path.name.startswith("d")) == ["d", "d.part"]
