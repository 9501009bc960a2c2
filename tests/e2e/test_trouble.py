"""Bad input, and trouble. Incomplete knowledge deletes nothing (invariant 2); what does not answer is named."""

import multiprocessing
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from world import *


def with_orphan(world):
    world.live("1", "2")
    world.put("orphan")
    return world


# Databases


def test_a_missing_database_is_unreachable_and_never_created(world):
    with_orphan(world)
    world.database.unlink()
    for command in (["scan"], ["plan", "-o", world.plan_file], ["apply", "--yes"], ["stats"], ["explain", "s3://media/orphan"]):
        failed = world.run(*command).expect(UNREACHABLE)
        assert str(world.database) in failed.error["message"] and failed.error["hint"]
    assert not world.database.exists() and world.has("orphan")


def test_a_database_that_vanishes_after_the_plan_deletes_nothing(world):
    with_orphan(world).plan().expect(OK)
    world.database.unlink()
    world.apply().expect(UNREACHABLE)
    assert world.has("orphan") and not world.database.exists()


@pytest.mark.parametrize("content", [b"", b"this is no database, though it is long enough to have a header of one hundred bytes. " * 3])
def test_a_file_that_is_no_database_fails(world, content):
    with_orphan(world)
    world.database.write_bytes(content)
    failed = world.plan()
    assert failed.code == FAILURE and str(world.database) in failed.error["message"]
    assert not world.plan_file.exists()


def test_a_truncated_database_fails(world):
    with_orphan(world)
    world.rows(*[f"row/{i}" * 20 for i in range(500)])
    world.database.write_bytes(world.database.read_bytes()[:-6000])
    failed = world.plan("--accept", "match_rate")
    assert failed.code == FAILURE and failed.error["message"]


@pytest.mark.parametrize("reference", [
    {"query": "SELECT nothing FROM files"}, {"query": "SELECT ref FROM file"}, {"query": 'SELECT "nothing" FROM files'},
    {"query": "SELEC ref FROM files"}, {"query": None, "table": "file", "column": "ref"}, {"query": None, "table": "files", "column": "nothing"},
    {"query": "SELECT ref, rowid FROM files"}, {"query": "SELECT ref FROM files; DELETE FROM files"}, {"query": ""},
    {"query": "DELETE FROM files RETURNING ref"}, {"query": "PRAGMA table_info(files)"}, {"query": "SELECT ref FROM files WHERE ref = ?"},
], ids=str)
def test_a_query_that_the_database_rejects_fails_and_changes_nothing(world, reference):
    with_orphan(world)
    world.reference.update(reference)
    for name in [name for name, value in world.reference.items() if value is None]:
        del world.reference[name]
    failed = world.plan()
    assert failed.code in (FAILURE, CONFIGURATION) and failed.error["message"] and failed.error["hint"], failed.story
    assert world.sql("SELECT 1") is None and sqlite3.connect(world.database).execute("SELECT count(*) FROM files").fetchone() == (2,)


def test_an_error_in_mid_query_is_no_end_of_the_rows(world):
    with_orphan(world)
    world.put("3")
    world.rows('{"a": "3"}', "{not json")
    world.reference["query"] = "SELECT CASE WHEN ref LIKE '{%' THEN json_extract(ref, '$.a') ELSE ref END FROM files"
    failed = world.plan().expect(FAILURE)
    assert "JSON" in failed.error["message"]


def test_a_value_that_is_no_json_fails_where_json_is_expected(world):
    with_orphan(world).rows("1, 2")
    world.reference["json"] = "values"
    assert world.plan().expect(FAILURE).error["message"]


def test_a_database_that_may_not_be_read_is_a_question_of_permission(world):
    user = with_orphan(world).unprivileged()
    world.database.chmod(0)
    assert world.plan(**user).expect(PERMISSION).error["hint"]


# Writers


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_row_that_is_uncommitted_at_planning_keeps_its_object(world, mode):
    with_orphan(world).sql(f"PRAGMA journal_mode={mode}")
    writer = world.connect(isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO files VALUES ('orphan')")
    world.plan().expect(OK)
    assert world.candidates() == {b"orphan"}
    apply = world.start("apply", world.plan_file, "--keys")
    time.sleep(0.7)
    assert apply.popen.poll() is None and world.has("orphan"), "apply did not wait for the writer"
    writer.execute("COMMIT")
    writer.close()
    assert apply.result().expect(OK).outcomes() == {b"orphan": "skipped_referenced"}
    assert world.has("orphan")


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_apply_can_be_stopped_while_it_waits_for_a_writer(world, mode):
    with_orphan(world).sql(f"PRAGMA journal_mode={mode}")
    writer = world.connect(isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO files VALUES ('orphan')")
    world.plan().expect(OK)
    apply = world.start("apply", world.plan_file)
    time.sleep(0.4)
    apply.signal(signal.SIGINT)
    assert apply.result().code == INTERRUPTED
    assert world.has("orphan")
    writer.rollback()
    writer.close()
    world.apply().expect(OK)
    assert not world.has("orphan")


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_row_that_is_committed_after_the_plan_keeps_its_object(world, mode):
    with_orphan(world).sql(f"PRAGMA journal_mode={mode}")
    keeper = world.connect(isolation_level=None)  # a second connection: in WAL mode the row then stands in the log only
    keeper.execute("SELECT 1 FROM files")
    world.plan().expect(OK)
    keeper.execute("INSERT INTO files VALUES ('orphan')")
    assert world.apply("--keys").expect(OK).outcomes() == {b"orphan": "skipped_referenced"}
    keeper.close()


def test_a_locked_database_is_unreachable_at_planning_and_at_apply(world):
    other = World()
    try:
        with_orphan(world).plan().expect(OK)
        with_orphan(other)
        writers = [w.connect(isolation_level=None) for w in (world, other)]
        for writer in writers:
            writer.execute("BEGIN EXCLUSIVE")
            writer.execute("INSERT INTO files VALUES ('orphan')")
        started = [world.start("apply", world.plan_file), other.start("plan", "-o", other.plan_file)]
        for process in started:
            failed = process.result().expect(UNREACHABLE)
            assert "lock" in failed.error["message"] or "writ" in failed.error["message"]
        assert world.has("orphan") and not other.plan_file.exists()
        for writer in writers:
            writer.rollback()
            writer.close()
        world.apply().expect(OK)
    finally:
        other.close()


# Lists


def test_a_list_that_was_cut_in_its_last_line_is_no_list(world):
    world.bucket["references"] = [{"list": "keys"}]
    world.put("1", "2", "orphan")
    (world.root / "keys").write_bytes(b"1\n2")
    failed = world.plan().expect(FAILURE)
    assert "cut" in failed.error["message"] and failed.error["hint"]
    (world.root / "keys").write_bytes(b"1\n2\n")
    world.plan().expect(OK)
    (world.root / "keys").write_bytes(b"1\n2\norp")
    assert world.apply().code == FAILURE and world.has("orphan")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf1\n2\n", "1\n2\n".encode("utf-16")])
def test_a_list_in_another_encoding_is_refused(world, content):
    world.bucket["references"] = [{"list": "keys"}]
    world.put("1", "2")
    (world.root / "keys").write_bytes(content)
    world.plan().expect(FAILURE)


def test_a_missing_list_is_unreachable(world):
    with_orphan(world).bucket["references"].append({"list": "keys"})
    assert world.plan().expect(UNREACHABLE).error["hint"]


def test_objects_newer_than_a_list_are_young(world):
    world.bucket["references"] = [{"list": "keys", "taken_at": "2026-01-01T00:00:00Z", "max_list_age": "9000d"}]
    world.put("1", "2", "new")
    world.put("old", age=4000 * DAY)
    (world.root / "keys").write_bytes(b"1\n2\n")
    assert world.plan().expect(OK).figures()["young_objects"] == 1
    assert world.candidates() == {b"old"}


# The store


def test_a_missing_root_is_unreachable(world):
    with_orphan(world)
    world.media.rename(world.root / "elsewhere")
    for command in (["scan"], ["plan", "-o", world.plan_file], ["apply", "--yes"]):
        assert world.run(*command).expect(UNREACHABLE).error["hint"]


def test_a_root_that_vanishes_after_the_plan_deletes_nothing(world):
    with_orphan(world).plan().expect(OK)
    world.media.rename(world.root / "elsewhere")
    world.apply().expect(UNREACHABLE)
    assert (world.root / "elsewhere" / "orphan").exists()


def test_a_root_that_was_replaced_after_the_plan_refuses(world):
    with_orphan(world).plan().expect(OK)
    world.media.rename(world.root / "elsewhere")
    shutil.copytree(world.root / "elsewhere", world.media)
    assert world.apply().expect(REFUSED).guards() == ["identity_changed"]
    assert world.has("orphan")


def test_a_root_that_is_a_file_fails(world):
    with_orphan(world)
    shutil.rmtree(world.media)
    world.media.write_text("no directory")
    assert world.scan().code in (FAILURE, UNREACHABLE, CONFIGURATION)


def test_a_folder_that_cannot_be_read_is_partial_and_nothing_in_it_is_planned(world):
    world.live("a/1", "a/2", "shut/live", "t/1", "t/2")
    world.put("a/orphan", "shut/orphan", "t/orphan")
    user = world.unprivileged()
    os.chmod(world.media / "shut", 0)
    scanned = world.scan(**user).expect(PARTIAL)
    assert scanned.summary["status"] == "partial" and scanned.figures()["dangling_references"] == 0
    assert "shut" in scanned.of("unlisted")[0]["message"]
    world.plan(**user).expect(PARTIAL)
    assert world.candidates() == {b"a/orphan", b"t/orphan"}
    shown = world.run("show", world.plan_file).expect(OK).of("plan")[0]["buckets"]["media"]
    assert 0 < shown["ranges_not_listed"] <= shown["ranges"]
    assert b"how many have no object is unknown" in world.run("show", world.plan_file, as_json=False).expect(OK).out
    os.chmod(world.media / "shut", 0o755)
    world.apply(**user).expect(OK)
    assert world.keys() == {b"a/1", b"a/2", b"shut/live", b"shut/orphan", b"t/1", b"t/2"}


def test_a_run_that_ends_with_one_bucket_names_those_that_it_did_not_touch(world):
    more = two_buckets(world)
    world.plan().expect(OK)
    (world.media / ".heimdall-trash").write_text("no directory")
    ended = world.apply()
    assert ended.code not in (OK, REFUSED), ended.story
    assert b"nothing was touched in 'more'" in ended.err, ended.story
    assert world.has("orphan") and (more / "orphan").exists()


def test_text_tells_what_was_not_listed(world):
    world.live("a/1", "a/2", "b/1", "shut/live")
    user = world.unprivileged()
    os.chmod(world.media / "shut", 0)
    text = world.scan(as_json=False, **user).expect(PARTIAL).out
    assert b"shut" in text and b"how many have no object is unknown" in text and b"0 without" not in text


def test_references_without_an_object_are_not_told_from_half_a_listing(world):
    world.live("a/1", "a/2", "b/1", "shut/live")
    world.rows("gone")
    (world.root / "d").write_text("older")
    user = world.unprivileged()
    os.chmod(world.media / "shut", 0)
    for as_json in (True, False):
        assert b"was not written" in world.scan("--dangling", world.root / "d", as_json=as_json, **user).expect(PARTIAL).err
    assert (world.root / "d").read_text() == "older" and [path.name for path in world.root.glob("d*")] == ["d"]


def test_a_file_that_may_not_be_deleted_fails_alone(world):
    world.live("1", "2", "3", "4")
    world.put("a/orphan", "shut/orphan", "z")
    user = world.unprivileged()
    os.chmod(world.media / "shut", 0o555)
    world.plan(**user).expect(OK)
    applied = world.apply("--keys", **user).expect(PARTIAL)
    assert applied.outcomes() == {b"a/orphan": "deleted", b"shut/orphan": "failed", b"z": "deleted"}
    assert applied.figures()["deletion_failures"] == 1 and applied.summary["status"] == "partial"
    assert [line for line in applied.of("deletion") if line["outcome"] == "failed"][0]["error"]
    assert applied.summary["message"].startswith("1 of 3 objects could not be deleted: ") and b"1 of 3 objects could not be deleted: " in applied.err
    assert world.last_run()["message"] == applied.summary["message"]
    assert world.has("shut/orphan")


def test_links_are_never_followed(world):
    world.live("1", "2")
    outside = world.root / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    os.utime(outside / "precious", (0, 0))
    os.symlink(outside, world.media / "folder")
    os.symlink(outside / "precious", world.media / "file")
    os.symlink("nowhere", world.media / "broken")
    os.symlink(".", world.media / "loop")
    assert world.plan().expect(OK).figures()["total_objects"] == 2
    world.apply().expect(OK)
    assert (outside / "precious").exists() and os.path.lexists(world.media / "broken")


def test_a_folder_that_became_a_link_after_the_plan_is_not_entered(world):
    world.live("1", "2")
    world.put("folder/orphan")
    world.plan().expect(OK)
    os.rename(world.media / "folder", world.root / "outside")
    os.symlink(world.root / "outside", world.media / "folder")
    applied = world.apply("--keys").expect(OK)
    assert applied.outcomes()[b"folder/orphan"] != "deleted"
    assert (world.root / "outside" / "orphan").exists()


def test_a_mount_inside_of_the_root_is_not_entered(world, root):
    world.live("1", "2")
    (world.media / "mounted").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", world.media / "mounted"], capture_output=True).returncode != 0:
        pytest.skip("this user may not mount")
    try:
        world.put("mounted/other")
        assert world.plan().expect(OK).figures()["total_objects"] == 2
    finally:
        subprocess.run(["umount", world.media / "mounted"], check=True)


def test_dates_from_the_future_are_kept_and_very_old_ones_are_old(world):
    world.live("1", "2", "3")
    world.put("tomorrow", age=-DAY)
    world.put("2425", age=-400 * 365 * DAY)  # beyond what 64 bits of nanoseconds can hold: a date that is not known
    world.put("1970", age=time.time())
    figures = world.plan().expect(OK).figures()
    assert figures["young_objects"] + figures["protected_objects"] == 2
    assert world.candidates() == {b"1970"}


def test_special_files_are_no_objects(world):
    world.live("1", "2")
    os.mkfifo(world.media / "pipe")
    assert world.plan().expect(OK).figures()["total_objects"] == 2


# State


def test_the_state_directory_is_created_for_its_owner_and_announced(world):
    with_orphan(world)
    scanned = world.scan().expect(OK)
    assert b"state directory" in scanned.err and b"created" in scanned.err
    assert world.state.stat().st_mode & 0o777 == 0o700
    assert b"created" not in world.scan().err


def test_a_state_directory_that_cannot_be_written_is_a_question_of_permission(world):
    with_orphan(world).scan().expect(OK)
    user = world.unprivileged()
    world.plan(**user).expect(OK)
    for path in [world.state, *world.state.iterdir()]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    failed = world.apply(**user).expect(PERMISSION)
    assert str(world.state) in failed.error["message"] and world.has("orphan")


@pytest.mark.parametrize("damage", ["overwritten", "cut", "emptied", "removed"])
def test_a_damaged_state_database_is_set_aside_and_grace_starts_anew(world, damage):
    world.bucket["grace"] = "1s"
    with_orphan(world).scan().expect(OK)
    time.sleep(1.1)
    assert world.scan().expect(OK).figures()["due_objects"] == 1
    file = world.state / "state.db"
    content = file.read_bytes()
    if damage == "overwritten":
        file.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    elif damage == "cut":
        file.write_bytes(content[:len(content) // 2])
    elif damage == "emptied":
        file.write_bytes(b"")
    else:
        file.unlink()
    world.plan_file.unlink(missing_ok=True)
    again = world.plan().expect(OK)
    assert b"set aside" in again.err
    assert again.figures()["in_grace_objects"] == 1 and world.candidates() == set()
    if damage != "removed":
        assert list(world.state.glob("state.db.damaged-*"))
    assert b"set aside" not in world.scan().expect(OK).err


def test_a_full_disk_deletes_nothing_that_is_not_journalled(world, root):
    names = [f"o/{i:05}-{'x' * 60}" for i in range(3000)]
    world.live(*[f"l/{i}" for i in range(3001)])
    world.put(*names)
    world.state.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", world.state], capture_output=True).returncode != 0:
        pytest.skip("this user may not mount")
    try:
        world.bucket["batch_size"] = 200
        world.plan("--accept", "unreferenced_class").expect(OK)
        stuffing = world.state / "stuffing"
        free = os.statvfs(world.state)
        stuffing.write_bytes(b"x" * max(0, free.f_bavail * free.f_bsize - 400_000))
        failed = world.apply()
        assert failed.code in (FAILURE, PARTIAL), failed.story
        stuffing.unlink()
        gone = {name.encode() for name in names} - world.keys()
        assert len(gone) < 3000
        world.run("recover").expect(OK)
        runs = [run for run in world.run("runs").of("run") if run["command"] == "apply"]
        journal = world.journal(runs[0]["run_id"]) if runs else {}
        assert gone == {key for key, outcome in journal.items() if outcome == "deleted"}
    finally:
        subprocess.run(["umount", world.state], check=True)


# Time


def test_a_stepped_clock_refuses_until_it_is_accepted(world, faketime):
    with_orphan(world).plan().expect(OK)
    for step in ("+1h", "-1h"):
        refused = world.scan(wrapper=faketime(step)).expect(REFUSED)
        assert refused.guards() == ["clock_skew"]
        assert abs(refused.of("guard")[0]["value"]) == pytest.approx(3600, abs=30) and refused.of("guard")[0]["limit"] == 300
    assert "clock_skew" in world.apply(wrapper=faketime("+1h")).expect(REFUSED).guards()
    assert world.has("orphan")
    world.apply().expect(OK)


def test_a_clock_set_forward_does_not_shorten_grace(world, faketime):
    world.bucket["grace"] = "72h"
    with_orphan(world).scan().expect(OK)
    world.plan(wrapper=faketime("+100d")).expect(REFUSED)
    assert not world.plan_file.exists()
