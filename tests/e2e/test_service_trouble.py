"""Stores and databases go and come back: the service stays, says what is away, and goes on by itself."""

import subprocess

import pytest

from service import *
from servers import *
from test_s3_toxics import Toxiproxy
from world import *


def large(world, orphans):
    """A bucket of old orphans and live objects; a sweep of it takes a moment."""
    world.bucket.update(guards={**FAR})
    world.reference["as"] = "key"
    world.sql("CREATE INDEX ON files (ref)")
    live = [f"live/{i:03}" for i in range(100)]
    keys = [f"o/{i // 500:03}/{i:05}" for i in range(orphans)]
    world.clone(*live, *keys)
    world.rows(*live)
    return {key.encode() for key in live}, keys


@pytest.fixture(scope="module")
def own_minio():
    server = S3Server("minio")
    yield server
    server.close()


@pytest.fixture(scope="module")
def own_postgresql():
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture
def world(own_minio, own_postgresql):
    world = FullWorld(own_minio, own_postgresql)
    yield world
    for server in (own_minio, own_postgresql):
        server.tell("resume" if pathlib.Path(f"/proc/{server.facts['pid']}").exists() else "start")
    world.close()


# Stores and databases


def test_a_store_that_is_away_at_the_start_is_named_and_waited_for(world, own_minio):
    large(world, 10)
    world.config["schedules"] = [{"name": "often", "task": "stats", "every": "2s"}]
    own_minio.tell("stop")
    service = Service(world).start(until="/livez")
    service.wait_for_dependency("store disk", "failed")
    service.wait_for_dependency("database app", "ok")
    not_ready = service.get("/readyz").expect(503).json
    assert not_ready["failed"] == ["store disk"] and service.dependencies()["store disk"]["message"]
    assert service.get("/metrics/storage").status == 200 and service.gauges()["total_objects"] == 0
    assert service.metrics()['heimdall_storage_up{kind="store",name="disk"}'] == 0
    own_minio.tell("start")
    service.wait_for("/readyz")
    assert service.metrics()['heimdall_storage_up{kind="store",name="disk"}'] == 1
    wait_until(lambda: service.gauges()["total_objects"] == 110)
    service.stop()


def test_a_store_that_goes_in_between_leaves_the_figures_and_comes_back(world, own_minio):
    large(world, 10)
    service = Service(world).start()
    service.run("stats")
    measured = service.metrics()['heimdall_storage_bucket_measured_timestamp_seconds{bucket="media"}']
    own_minio.tell("kill")
    summary = service.run("stats")
    assert summary["status"] == "failed" and summary["message"]
    service.wait_for_dependency("store disk", "failed")
    assert service.get("/readyz").status == 503 and service.get("/livez").status == 200
    assert service.gauges()["total_objects"] == 110 and service.get("/metrics/storage").json["total_orphans"] == 10
    assert service.metrics()['heimdall_storage_bucket_measured_timestamp_seconds{bucket="media"}'] == measured
    assert service.sum_of("heimdall_storage_store_requests_total", store="disk", status="unreachable") > 0
    assert service.log_events("dependency.down", kind="store", name="disk")
    own_minio.tell("start")
    service.wait_for("/readyz")
    assert service.log_events("dependency.up", kind="store", name="disk")
    assert service.run("stats")["status"] == "success"
    assert service.metrics()['heimdall_storage_bucket_measured_timestamp_seconds{bucket="media"}'] > measured
    service.stop()


def test_a_store_that_is_restarted_in_the_middle_of_a_sweep(world, own_minio):
    live, keys = large(world, 6000)
    world.bucket["batch_size"] = 500
    before = world.keys()
    service = Service(world).start()
    run_id = service.begin_run("cleanup")
    wait_until(lambda: not os.path.exists(world.path(keys[0])))
    own_minio.tell("kill")
    own_minio.tell("start")
    service.wait_for_run(run_id, 150)
    service.wait_for("/readyz")
    summary = service.run("cleanup")
    assert summary["status"] == "success", summary
    assert world.keys() == live
    service.stop()
    deleted = {key for run in world.run("runs").expect(OK).of("run") for key, outcome in world.journal(run["run_id"]).items()
               if outcome in ("deleted", "already_gone")}
    assert deleted == before - live


def test_a_second_sigterm_ends_it_at_once_while_the_store_hangs(world, own_minio):
    live, keys = large(world, 6000)
    world.bucket["batch_size"] = 100
    world.store["request_timeout"] = "20s"
    before = world.keys()
    service = Service(world).start()
    run_id = service.begin_run("cleanup")
    wait_until(lambda: not os.path.exists(world.path(keys[0])))
    own_minio.tell("pause")
    time.sleep(0.3)  # so that a request is under way
    service.signal(signal.SIGTERM)
    service.wait_for_log("service.stopping")
    service.signal(signal.SIGTERM)
    service.popen.wait(2)
    own_minio.tell("resume")
    world.store["request_timeout"] = "3s"
    service = Service(world).start()
    wait_until(lambda: "in_doubt" not in world.journal(run_id).values(), 60)
    gone = before - world.keys()
    assert gone == {key for key, outcome in world.journal(run_id).items() if outcome in ("deleted", "already_gone")}
    assert live <= world.keys()
    service.stop()


def test_it_ends_in_time_though_the_store_hangs(world, own_minio):
    live, keys = large(world, 6000)
    world.bucket["batch_size"] = 100
    world.store["request_timeout"] = "30s"
    service = Service(world).start()
    run_id = service.begin_run("cleanup")
    wait_until(lambda: not os.path.exists(world.path(keys[0])))
    own_minio.tell("pause")
    service.stop()
    own_minio.tell("resume")
    before = world.keys()
    world.store["request_timeout"] = "3s"
    world.run("recover", timeout=60).expect(OK)
    assert "in_doubt" not in world.journal(run_id).values()
    assert live <= world.keys() <= before


def test_a_database_that_goes_is_named_and_nothing_is_deleted_meanwhile(world, own_postgresql):
    live, keys = large(world, 50)
    before = world.keys()
    service = Service(world).start()
    own_postgresql.tell("stop")
    service.wait_for_dependency("database app", "failed")
    assert service.get("/readyz").expect(503).json["failed"] == ["database app"]
    assert service.run("cleanup")["status"] == "failed"
    assert world.keys() == before
    own_postgresql.tell("start")
    service.wait_for("/readyz")
    assert service.run("cleanup")["status"] == "success"
    assert world.keys() == live
    service.stop()


def test_a_schedule_tries_again_and_goes_on_by_itself(world, own_postgresql):
    large(world, 10)
    world.config["schedules"] = [{"name": "often", "task": "stats", "every": "2s"}]
    service = Service(world).start()
    wait_until(lambda: service.sum_of("heimdall_storage_runs_total", task="stats", status="success") >= 1)
    own_postgresql.tell("stop")
    wait_until(lambda: service.sum_of("heimdall_storage_runs_total", task="stats", status="failed") >= 1)
    assert service.gauges()["total_objects"] == 110
    own_postgresql.tell("start")
    good = service.sum_of("heimdall_storage_runs_total", task="stats", status="success")
    wait_until(lambda: service.sum_of("heimdall_storage_runs_total", task="stats", status="success") > good)
    service.stop()


def test_a_bad_network_is_seen_through(world, own_minio):
    proxy = Toxiproxy()
    try:
        link = proxy.proxy(own_minio.endpoint.split("//")[1])
        world.store["endpoint"] = f"http://{link.address}"
        live, keys = large(world, 300)
        service = Service(world).start()
        link.add("latency", latency=50, jitter=30)
        assert service.run("stats")["status"] == "success"
        link.heal("latency")
        link.add("timeout", timeout=0)  # nothing comes through, and nothing is refused
        service.wait_for_dependency("store disk", "failed", 60)
        began = time.monotonic()
        assert service.get("/metrics").status == 200 and service.get("/readyz").status == 503
        assert time.monotonic() - began < 1
        link.heal("timeout")
        service.wait_for("/readyz", seconds=60)
        assert service.run("cleanup")["status"] == "success"
        assert world.keys() == live
        service.stop()
    finally:
        proxy.close()
