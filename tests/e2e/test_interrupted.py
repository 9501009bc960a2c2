"""Every outcome is known per key (invariant 6), however the sweep ended; one sweep per bucket at a time (invariant 9)."""

import os
import signal
import subprocess
import time

import pytest

from world import *

CRASH_POINTS = [
    *[f"{point}:{passage}" for passage in (1, 2) for point in (
        "sweep.batch.begin", "sweep.intended", "sweep.removed", "sweep.recorded", "store.fs.renamed", "store.fs.unlinked",
        "journal.intend.before_commit", "journal.intend.committed")],
    "journal.record.before_commit:1",  # outcomes are written together: in so small a sweep once
    "journal.record.committed:1",
]


def big(world, orphans=3000, batch_size=1):
    """A plan that takes a while: its keys are swept in order."""
    world.reference["as"] = "key"
    world.bucket.update(batch_size=batch_size, guards={"max_unreferenced_class": 100000, "max_orphan_ratio": 1.0})
    world.live(*[f"live/{i}" for i in range(20)])
    keys = [f"o/{i:05}" for i in range(orphans)]
    world.put(*keys, data=b"")
    world.plan().expect(OK)
    return keys


def sweeping(world, keys, *args, **options):
    """An apply that is stopped in mid-sweep, if it was caught."""
    process = world.start("apply", world.plan_file, *args, **options)
    first = world.path(keys[0])
    while os.path.exists(first):
        assert process.popen.poll() is None, process.result().story
    process.stop()
    return process


def check_every_key(world, keys, run_id):
    """Journal and disk tell the same of every planned key; returns what was deleted."""
    journal = world.journal(run_id)
    left = world.keys()
    gone = {key.encode() for key in keys} - left
    assert gone == {key for key, outcome in journal.items() if outcome == "deleted"}
    assert all(outcome in ("deleted", "failed", "skipped_changed") for outcome in journal.values()), set(journal.values())
    return gone


def apply_runs(world):
    return [run for run in world.run("runs", "--limit", "1000").expect(OK).of("run") if run["command"] == "apply"]


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_after_a_kill_at_any_point_recover_knows_every_key(world, point):
    world.bucket["batch_size"] = 3
    live = [f"live/{i}" for i in range(8)]
    keys = [f"o/{i}" for i in range(7)]
    world.live(*live)
    world.put(*keys)
    world.plan().expect(OK)
    killed = world.apply(env={"HEIMDALL_STORAGE_CRASH_AT": point})
    assert killed.code == -signal.SIGKILL, f"{point} was not passed: " + killed.story

    run = apply_runs(world)[0]
    assert run["status"] == "interrupted"
    told = list(world.journal(run["run_id"]).values())
    assert run["total_deleted"] == told.count("deleted") and run["total_failed"] == told.count("in_doubt"), "before anybody looked anything up"
    recovered = world.run("recover").expect(OK)
    gone = check_every_key(world, keys, run["run_id"])
    for key, outcome in recovered.outcomes().items():
        assert world.journal(run["run_id"])[key] == outcome
    after = apply_runs(world)[0]
    assert after["total_deleted"] == len(gone) and after["status"] in ("partial", "interrupted")
    assert not list(world.media.glob(".heimdall-trash/*")), "something was left in the trash"
    assert {key.encode() for key in live} <= world.keys()
    assert world.run("recover").expect(OK).outcomes() == {}

    world.plan().expect(OK)
    world.apply().expect(OK)
    assert world.keys() == {key.encode() for key in live}


@pytest.mark.parametrize("point", ["sweep.intended", "store.fs.renamed", "sweep.removed"])
def test_the_next_apply_recovers_first(world, point):
    world.live("1", "2", "3")
    world.put("a", "b")
    world.plan().expect(OK)
    world.apply(env={"HEIMDALL_STORAGE_CRASH_AT": point})
    killed = apply_runs(world)[0]["run_id"]
    world.plan().expect(OK)
    applied = world.apply().expect(OK)
    assert b"doubt" in applied.err
    again = world.run("apply", "--yes").expect(OK)  # for what was in the trash while the plan was made
    assert world.keys() == {b"1", b"2", b"3"}
    runs = (killed, applied.summary["run_id"], again.summary["run_id"])
    deleted = [run for run in runs for outcome in world.journal(run).values() if outcome == "deleted"]
    assert len(deleted) == 2, "each key was deleted by exactly one run"


def killed_in_two_buckets(world):
    """Something is left in doubt in `media` and in `more`; the orphans of both are gone then, and nothing else is due."""
    more = two_buckets(world)
    for bucket in ("media", "more"):
        world.plan("--bucket", bucket).expect(OK)
        assert world.apply("--bucket", bucket, env={"HEIMDALL_STORAGE_CRASH_AT": "sweep.removed"}).code == -signal.SIGKILL
    return more


@pytest.mark.parametrize("how", ["taken out", "not chosen"])
def test_recover_tells_of_doubts_that_it_cannot_look_up(world, how):
    killed_in_two_buckets(world)
    arguments = ["--bucket", "more"] if how == "not chosen" else []
    whole = list(world.config["buckets"])
    if how == "taken out":
        world.config["buckets"] = whole[1:]
    left = world.run("recover", *arguments).expect(PARTIAL)
    assert left.outcomes() == {b"orphan": "deleted"} and left.of("deletion")[0]["bucket"] == "more"
    assert "1 object in bucket 'media'" in left.error["message"] and left.error["hint"]
    assert b"Nothing was left" not in world.run("recover", *arguments, as_json=False).expect(PARTIAL).out
    world.config["buckets"] = whole
    assert world.run("recover").expect(OK).of("deletion")[0]["bucket"] == "media"


def test_recover_passes_by_a_store_that_is_away(world):
    killed_in_two_buckets(world)
    world.media.rename(world.root / "away")
    left = world.run("recover").expect(PARTIAL)
    assert [line["bucket"] for line in left.of("deletion")] == ["more"] and "bucket 'media'" in left.error["message"]
    (world.root / "away").rename(world.media)
    assert world.run("recover").expect(OK).outcomes() == {b"orphan": "deleted"}


def test_an_apply_with_nothing_due_recovers_all_the_same(world):
    killed_in_two_buckets(world)
    assert b"2 objects that an earlier run left in doubt were looked up" in world.run("apply").expect(OK).err
    assert world.run("recover").expect(OK).outcomes() == {}


def test_an_apply_of_another_bucket_recovers_all_the_same(world):
    more = killed_in_two_buckets(world)
    (more / "lost").write_text("x")
    os.utime(more / "lost", (1e9, 1e9))
    world.plan("--bucket", "more").expect(OK)
    world.apply().expect(OK)
    assert not (more / "lost").exists()
    assert world.run("recover").expect(OK).outcomes() == {}


def test_doubts_of_another_bucket_that_nobody_can_look_up_fail_no_run(world):
    more = killed_in_two_buckets(world)
    (more / "lost").write_text("x")
    os.utime(more / "lost", (1e9, 1e9))
    world.plan("--bucket", "more").expect(OK)
    world.media.rename(world.root / "away")
    applied = world.apply().expect(OK)
    assert not (more / "lost").exists() and b"1 object in bucket 'media' is still in doubt" in applied.err


def test_an_object_that_a_killed_sweep_had_in_hand_is_put_back_if_it_is_named_again(world):
    world.live("1", "2")
    world.put("orphan")
    world.plan().expect(OK)
    world.apply(env={"HEIMDALL_STORAGE_CRASH_AT": "store.fs.renamed"})
    assert not world.has("orphan")
    world.rows("orphan")
    world.run("recover").expect(OK)
    assert world.has("orphan")


def test_a_second_sweep_of_the_bucket_is_locked_out(world):
    world.live("1", "2")
    world.put("orphan")
    # An open writer makes the first one wait with the bucket in its hands.
    writer = world.connect(isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    world.plan().expect(OK)
    first = world.start("apply", world.plan_file)
    wait_until(lambda: first.popen.poll() is not None or [*world.state.glob("locks/*")])
    time.sleep(0.3)
    locked = world.run("apply", "--yes").expect(LOCKED)
    assert str(first.pid) in locked.error["message"] and locked.error["hint"]
    world.run("recover").expect(OK)  # nothing is in doubt yet
    # Another state directory does not help: the store itself is held.
    world.run("apply", "--yes", "--state", world.root / "other-state").expect(LOCKED)
    world.scan().expect(OK)
    world.run("runs").expect(OK)
    assert world.has("orphan")
    writer.rollback()
    writer.close()
    first.result().expect(OK)
    assert not world.has("orphan")


def test_a_plan_that_is_being_carried_out_is_locked_and_not_used(world):
    keys = big(world)
    process = sweeping(world, keys)
    assert str(process.pid) in world.apply().expect(LOCKED).error["message"]
    world.apply("--dry-run").expect(LOCKED)
    process.go_on()
    process.result().expect(OK)
    world.apply().expect(STALE)


def test_one_interrupt_finishes_the_batch_and_leaves_the_rest_untouched(world):
    keys = big(world)
    process = sweeping(world, keys)
    process.signal(signal.SIGINT)
    process.go_on()
    result = process.result().expect(INTERRUPTED)
    assert b"interrupted" in result.err
    run = apply_runs(world)[0]
    gone = check_every_key(world, keys, run["run_id"])
    assert 0 < len(gone) < len(keys), "the interrupt came too late to say anything"
    assert result.summary["total_deleted"] == len(gone) == run["total_deleted"]
    assert world.run("recover").expect(OK).outcomes() == {}
    world.plan("--accept", "unreferenced_class").expect(OK)
    assert world.candidates() == {key.encode() for key in keys} - gone
    world.apply().expect(OK)


def test_two_interrupts_end_at_once_and_recover_knows_every_key(world):
    keys = big(world, batch_size=1000)
    process = sweeping(world, keys)
    process.signal(signal.SIGINT)
    process.signal(signal.SIGTERM)
    process.go_on()
    out, err = process.popen.communicate(timeout=30)
    assert process.popen.returncode == INTERRUPTED
    world.run("recover").expect(OK)
    gone = check_every_key(world, keys, apply_runs(world)[0]["run_id"])
    assert 0 < len(gone) < len(keys)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_interrupt_as_well(world, number):
    keys = big(world)
    process = sweeping(world, keys)
    process.signal(number)
    process.go_on()
    process.result().expect(INTERRUPTED)
    assert 0 < len(check_every_key(world, keys, apply_runs(world)[0]["run_id"])) < len(keys)


def test_a_kill_in_mid_sweep_loses_no_knowledge(world):
    keys = big(world, batch_size=50)
    process = sweeping(world, keys)
    process.signal(signal.SIGKILL)
    process.popen.communicate()
    world.run("recover").expect(OK)
    assert 0 < len(check_every_key(world, keys, apply_runs(world)[0]["run_id"])) < len(keys)


def test_a_row_written_while_the_sweep_was_suspended_keeps_its_object(world):
    # Invariant 12: no delete leaves later than ten seconds after an indexed recheck.
    world.sql("DROP TABLE files", "CREATE TABLE files (ref TEXT PRIMARY KEY)")
    keys = big(world, orphans=1000, batch_size=1000)
    process = sweeping(world, keys, "--keys")
    pending = [key for key in keys if world.has(key)]
    assert pending, "the whole batch was gone before it could be stopped"
    saved = pending[1:]
    world.rows(*saved)
    time.sleep(10.3)
    process.go_on()
    outcomes = process.result().expect(OK).outcomes()
    assert {key.encode() for key in saved} <= world.keys()
    assert all(outcomes[key.encode()] == "skipped_referenced" for key in saved)


def test_a_reader_that_goes_away_loses_no_outcome(world):
    keys = big(world, orphans=2000, batch_size=100)
    command = world.command("apply", world.plan_file, "--keys", as_json=False)
    popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                             env=world.environment(), cwd=world.root)
    world.processes.append(popen)
    popen.stdout.close()
    popen.stderr.read()
    assert popen.wait(60) >= 0, "killed by SIGPIPE"
    assert len(check_every_key(world, keys, apply_runs(world)[0]["run_id"])) == len(keys)


def test_a_full_standard_output_loses_no_outcome(world):
    keys = big(world, orphans=200, batch_size=10)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(world.command("apply", world.plan_file, "--keys"), stdout=full, stderr=subprocess.PIPE, env=world.environment())
    assert done.returncode == FAILURE and b"standard output: No space left on device" in done.stderr
    assert len(check_every_key(world, keys, apply_runs(world)[0]["run_id"])) == len(keys)


@pytest.mark.parametrize("as_json", [True, False])
def test_results_that_cannot_be_written_are_no_success(world, as_json):
    world.live("1", "2")
    world.put("orphan")
    world.plan().expect(OK)
    commands = [("show", "--keys", world.plan_file), ("scan",), ("plan", "-o", world.plan_file, "--detailed-exitcode"), ("--help",),
                ("explain", "s3://media/1"), ("recover",), ("apply", world.plan_file)]
    for command in commands:
        with open("/dev/full", "wb") as full:
            done = subprocess.run(world.command(*command, as_json=as_json), stdout=full, stderr=subprocess.PIPE, env=world.environment())
        assert done.returncode == FAILURE and done.stderr.count(b"standard output") == 1, (command, done)
    assert not world.has("orphan")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(world.command("apply", world.plan_file), stdout=full, stderr=subprocess.PIPE, env=world.environment())
    assert done.returncode == STALE


def test_a_closed_standard_output_is_told_and_nothing_is_written_into_other_files(world):
    world.live("1", "2")
    world.put("orphan")
    done = subprocess.run(["sh", "-c", 'exec "$0" "$@" >&-', *world.command("scan")], stderr=subprocess.PIPE, env=world.environment())
    assert done.returncode == FAILURE and b"standard output" in done.stderr
    assert world.last_run()["status"] == "success"
    for path in world.state.rglob("*"):
        assert not path.is_file() or b'"type"' not in path.read_bytes(), path


def test_a_reader_that_has_seen_enough_is_no_failure(world):
    world.live("1", "2")
    world.put(*[f"o/{i}" for i in range(200)])
    world.bucket["guards"] = {"max_orphan_ratio": 1}
    world.plan().expect(OK)
    process = world.start("show", "--keys", world.plan_file)
    process.popen.stdout.readline()
    process.popen.stdout.close()
    assert process.popen.stderr.read() == b"" and process.popen.wait(60) == OK


def test_a_scan_can_be_interrupted_and_leaves_nothing_behind(world):
    world.live(*[f"l/{i}" for i in range(20)])
    world.bucket["references"].append({"list": "pipe"})
    os.mkfifo(world.root / "pipe")
    process = world.start("scan")
    time.sleep(0.2)
    writer = os.open(world.root / "pipe", os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, b"l/1\n")
    process.signal(signal.SIGINT)
    time.sleep(0.2)  # or the end of the list may be there before the signal
    os.close(writer)
    process.result().expect(INTERRUPTED)
    assert not list((world.state / "tmp").iterdir())
    assert world.last_run()["status"] == "interrupted"


def test_what_a_killed_process_left_in_the_state_directory_is_removed(world):
    keys = big(world)
    process = sweeping(world, keys)
    process.signal(signal.SIGKILL)
    process.popen.communicate()
    world.run("recover").expect(OK)
    assert not list((world.state / "tmp").iterdir())
