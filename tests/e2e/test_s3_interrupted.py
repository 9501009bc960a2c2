"""Every outcome is known per key (invariant 6), whatever ends a sweep in a real bucket; its servers may go and come back."""

import os
import random
import signal
import subprocess
import time

import pytest

from servers import *
from world import *

KILLS = 3
ORPHANS = 40000


def large(world, orphans, batch_size=1000, **options):
    world.bucket.update(batch_size=batch_size, guards={**FAR})
    world.reference["as"] = "key"
    world.sql("CREATE INDEX ON files (ref)")
    live = [f"live/{i:03}" for i in range(50)] + [f"z/{i:03}" for i in range(50)]
    keys = [f"o/{i // 500:03}/{i:05}" for i in range(orphans)]
    world.clone(*live, *keys)
    world.rows(*live)
    world.plan(timeout=180).expect(OK)
    return {key.encode() for key in live}, keys


def wait_for_first(world, process, keys):
    wait_until(lambda: not os.path.exists(world.path(keys[0])) or process.popen.poll() is not None)


def apply_run(world):
    return next(run for run in world.run("runs", "--limit", "1000").expect(OK).of("run") if run["command"] == "apply")


def test_killed_at_random_moments_every_key_is_known(full_world):
    generator = random.Random(20261123)
    world = full_world
    live, keys = large(world, ORPHANS)
    for kill in range(KILLS):
        before = world.keys()
        process = world.start("apply", world.plan_file)
        left = sorted(before - live)
        wait_for_first(world, process, [left[0]])
        time.sleep(generator.uniform(0, 0.5))
        process.signal(signal.SIGKILL)
        process.popen.communicate()
        run = apply_run(world)
        assert run["status"] == "interrupted", run
        recovered = world.run("recover", timeout=120).expect(OK)
        gone = world.check_every_key(before, run["run_id"])
        journal = world.journal(run["run_id"])
        assert all(journal[key] == outcome for key, outcome in recovered.outcomes().items())
        assert live <= world.keys()
        assert apply_run(world)["total_deleted"] == len(gone)
        world.plan(timeout=180).expect(OK)
        assert world.candidates() == world.keys() - live
    world.apply(timeout=180).expect(OK)
    assert world.keys() == live


def test_an_interrupt_ends_a_sweep_in_order(full_world):
    world = full_world
    live, keys = large(world, 6000)
    before = world.keys()
    process = world.start("apply", world.plan_file)
    wait_for_first(world, process, keys)
    process.signal(signal.SIGINT)
    result = process.result()
    assert result.code in (INTERRUPTED, OK), result.story
    gone = world.check_every_key(before, apply_run(world)["run_id"])
    assert result.summary["total_deleted"] == len(gone)
    assert live <= world.keys()


@pytest.fixture
def own_minio():
    server = S3Server("minio")
    yield server
    server.close()


@pytest.mark.parametrize("how", ["stop", "kill", "pause"])
def test_the_store_is_restarted_in_the_middle_of_a_sweep(own_minio, postgresql, how):
    world = FullWorld(own_minio, postgresql)
    try:
        live, keys = large(world, 8000, 500)
        before = world.keys()
        process = world.start("apply", world.plan_file)
        wait_for_first(world, process, keys)
        own_minio.tell(how)
        time.sleep(1)
        own_minio.tell("resume" if how == "pause" else "start")
        result = process.result(180)
        assert result.code in (OK, PARTIAL, UNREACHABLE), result.story
        world.run("recover", timeout=120).expect(OK)
        world.check_every_key(before, apply_run(world)["run_id"])
        assert live <= world.keys()
        world.plan().expect(OK)
        world.apply(timeout=180).expect(OK)
        assert world.keys() == live
    finally:
        world.close()


def test_what_is_in_doubt_stays_so_until_the_store_is_back(own_minio, postgresql):
    world = FullWorld(own_minio, postgresql)
    try:
        live, keys = large(world, 8000, 500)
        before = world.keys()
        process = world.start("apply", world.plan_file)
        wait_for_first(world, process, keys)
        own_minio.tell("kill")
        process.signal(signal.SIGKILL)
        process.popen.communicate()
        run_id = apply_run(world)["run_id"]
        intended = set(world.journal(run_id).values())
        assert "in_doubt" in intended, intended
        world.run("recover", timeout=60).expect(UNREACHABLE)
        assert set(world.journal(run_id).values()) == intended
        own_minio.tell("start")
        world.run("recover", timeout=60).expect(OK)
        world.check_every_key(before, run_id)
        assert live <= world.keys()
    finally:
        world.close()


def test_a_sweep_ends_soon_once_its_store_is_gone(own_minio, postgresql):
    world = FullWorld(own_minio, postgresql)
    try:
        live, keys = large(world, 8000, 500)
        process = world.start("apply", world.plan_file)
        wait_for_first(world, process, keys)
        own_minio.tell("kill")
        try:
            result = process.result(30)
        except subprocess.TimeoutExpired:
            raise AssertionError("it went on and on") from None
        assert result.code in (PARTIAL, UNREACHABLE), result.story
    finally:
        own_minio.tell("start")
        world.close()


@pytest.fixture
def own_postgresql():
    server = PostgresServer()
    yield server
    server.close()


def test_the_database_is_restarted_in_the_middle_of_a_sweep(minio, own_postgresql):
    """Its lock is lost with it: the sweep stops before the next send (invariant 9)."""
    world = FullWorld(minio, own_postgresql)
    try:
        live, keys = large(world, 8000, 100)
        before = world.keys()
        process = world.start("apply", world.plan_file)
        wait_for_first(world, process, keys)
        own_postgresql.tell("kill")
        own_postgresql.tell("start")
        result = process.result(120)
        assert result.code in (PARTIAL, UNREACHABLE, FAILURE, LOCKED), result.story
        world.run("recover", timeout=120).expect(OK)
        world.check_every_key(before, apply_run(world)["run_id"])
        left = world.keys()
        assert live < left, "it went on without its database"
        world.plan().expect(OK)
        world.apply(timeout=180).expect(OK)
        assert world.keys() == live
    finally:
        world.close()
