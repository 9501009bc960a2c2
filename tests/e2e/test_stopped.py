"""A stop is not kept waiting by a store or a database that hangs: what only reads is given up, and says that it was interrupted."""

import signal
import time

import pytest

from service import Service
from servers import *
from world import *

SOON = 8  # seconds; far less than any time-out of the server's


@pytest.fixture
def own_minio():
    server = S3Server("minio")
    yield server
    server.tell("resume")
    server.close()


@pytest.fixture
def hanging(own_minio, postgresql):
    """A world with a plan, whose store is about to hang."""
    world = FullWorld(own_minio, postgresql)
    world.store["request_timeout"] = "20s"
    world.live("1", "2", "3")
    world.put("orphan")
    world.plan().expect(OK)
    yield world
    own_minio.tell("resume")
    world.close()


def interrupted(world, *command):
    """Starts it, interrupts it once it waits, and returns what it said."""
    process = world.start(*command)
    time.sleep(1.5)
    assert process.popen.poll() is None, process.result().story
    begun = time.monotonic()
    process.signal(signal.SIGINT)
    result = process.result()
    assert time.monotonic() - begun < SOON, f"{time.monotonic() - begun:.0f} s: {result.story}"
    return result.expect(INTERRUPTED)


def test_a_store_that_hangs_keeps_no_command(hanging):
    world = hanging
    world.server.tell("pause")
    for command in (["scan"], ["plan", "-o", world.root / "q.plan"], ["stats"], ["apply", world.plan_file], ["explain", "s3://media/1"], ["doctor"]):
        result = interrupted(world, *command)
        assert result.error["code"] == "cancelled", result.story
        words = b"the batch at hand is finished first" if command[0] == "apply" else b"interrupted: stopping"
        assert words in result.err, result.story
    runs = {run["command"]: run["status"] for run in world.run("runs").of("run") if run["command"] in ("scan", "stats", "apply")}
    assert runs == {"scan": "interrupted", "stats": "interrupted", "apply": "interrupted"}, runs
    world.server.tell("resume")
    world.apply().expect(OK)
    assert world.keys() == {b"1", b"2", b"3"}


@pytest.mark.parametrize("command", [["scan"], ["doctor"], ["explain", "s3://media/1"]])
def test_a_table_that_is_locked_keeps_no_command(postgres_world, command):
    world = postgres_world
    world.live("1", "2", "3")
    db = world.connect()
    with db.cursor() as cursor:
        cursor.execute("LOCK TABLE files IN ACCESS EXCLUSIVE MODE")
    try:
        result = interrupted(world, *command)
        assert result.error["code"] == "cancelled", result.story
    finally:
        db.close()
    # Nothing of ours goes on waiting there.
    wait_until(lambda: world.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'reader'") == 0)


def test_a_run_of_the_service_is_cancelled_while_its_store_hangs(hanging):
    service = Service(hanging).start()
    hanging.server.tell("pause")
    run_id = service.begin_run("cleanup")
    wait_until(lambda: service.summary(run_id)["status"] == "running")
    time.sleep(1)
    service.post(f"/api/v1/runs/{run_id}/cancel").expect(202)
    service.wait_for_run(run_id, SOON)
    assert next(run for run in hanging.run("runs").of("run") if run["run_id"] == run_id)["status"] == "interrupted"
    hanging.server.tell("resume")
    service.stop()


def test_what_explain_and_doctor_ask_over_http_is_in_the_metrics(full_world):
    full_world.live("1", "2", "3")
    service = Service(full_world).start()
    asked = lambda operation: service.sum_of("heimdall_storage_store_requests_total", store="disk", operation=operation)
    assert asked("head") == 0 and asked("list") == 0
    service.get("/api/v1/explain?object=s3://media/1").expect(200)
    assert asked("head") > 0
    service.get("/api/v1/doctor").expect(200)
    assert asked("list") > 0
    service.stop()
