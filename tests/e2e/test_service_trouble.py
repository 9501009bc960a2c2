"""What a service meets in months: servers go and come back, disks fill, clocks are stepped. It stays, says what is wrong, and goes on by itself."""

import glob
import socket
import subprocess

import pytest

from service import *
from servers import *
from test_s3_toxics import Toxiproxy
from world import *

AWAY = ("timeout", "unreachable", "failed")


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
    service.wait_for_run(run_id, 60)
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


# This machine


@pytest.fixture
def small():
    world = World()
    world.live("1", "2", "3")
    yield world
    world.close()


def test_a_port_that_is_taken_is_told_with_what_to_do(small):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = Service(small)
        service.port = taken.getsockname()[1]
        small.config["http"]["listen"] = f"127.0.0.1:{service.port}"
        service.launch()
        service.expect_exit(FAILURE, 10)
        assert str(service.port) in service.log_text() and "taken" in service.log_text()
    Service(small).start().stop()


def test_two_services_on_one_state_directory_are_one_too_many(small):
    first = Service(small).start()
    second = Service(small)
    second.log_file = small.root / "second.log"
    second.launch()
    second.expect_exit(LOCKED, 10)
    assert first.get("/readyz").status == 200 and first.run("stats")["status"] == "success"
    first.stop()
    # The lock went with its process.
    first.start()
    first.signal(signal.SIGKILL)
    first.popen.wait()
    first.start().stop()


def test_the_command_line_works_beside_the_service(small):
    service = Service(small).start()
    small.put("orphan")
    small.scan().expect(OK)
    assert small.clean_up() == {b"1", b"2", b"3"}
    assert service.run("stats")["status"] == "success"
    assert len(service.get("/api/v1/runs").json["runs"]) >= 4
    service.stop()


def test_a_broken_configuration_does_not_start(small):
    service = Service(small)
    small.config["schedules"] = [{"name": "never", "task": "stats", "cron": "0 0 31 2 *"}]
    service.launch()
    service.expect_exit(CONFIGURATION, 10)
    assert "0 0 31 2 *" in service.log_text()


def test_a_full_state_disk_is_named_and_nothing_is_deleted_that_is_not_journalled(small, root):
    names = [f"o/{i:05}-{'x' * 60}" for i in range(3000)]
    small.put(*names)
    small.bucket.update(batch_size=200, guards={**FAR})
    small.state.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", small.state], capture_output=True).returncode != 0:
        pytest.skip("this user may not mount")
    service = Service(small)
    try:
        service.start()
        stuffing = small.state / "stuffing"
        free = os.statvfs(small.state)
        stuffing.write_bytes(b"x" * max(0, free.f_bavail * free.f_bsize - 8192))
        summary = service.run("cleanup")
        assert summary["status"] in ("failed", "partial"), summary
        service.wait_for_dependency("state state", "failed", 60)
        assert service.get("/livez").status == 200 and service.get("/metrics").status == 200
        stuffing.unlink()
        service.wait_for("/readyz", seconds=60)
        assert service.run("cleanup")["status"] == "success"
        assert small.keys() == {b"1", b"2", b"3"}
        service.stop()
        deleted = {key for run in small.run("runs").of("run") for key, outcome in small.journal(run["run_id"]).items() if outcome == "deleted"}
        assert deleted == {name.encode() for name in names}
    finally:
        if service.popen and service.popen.poll() is None:
            service.popen.kill()
            service.popen.wait()
        subprocess.run(["umount", small.state], check=True)


@pytest.mark.parametrize("damage", ["overwritten", "cut"])
def test_a_damaged_state_is_set_aside_and_told(small, damage):
    service = Service(small).start()
    service.run("stats")
    service.stop()
    file = small.state / "state.db"
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096) if damage == "overwritten" else content[:len(content) // 2])
    service.start()
    assert "damaged" in json.dumps(service.wait_for_log("state.damaged"))
    assert list(small.state.glob("state.db.damaged-*"))
    assert service.run("stats")["status"] == "success"
    service.stop()


def test_a_clock_that_is_stepped_by_a_day_is_noticed_and_forgiven(small, faketime):
    """Forward: no grace is over before its time, and nothing is deleted; every schedule runs at most once for it. Back: it goes on."""
    small.put("orphan")
    small.bucket["grace"] = "12h"
    offset = small.root / "offset"
    offset.write_text("+0")
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not libraries:
        pytest.skip("libfaketime is not installed")
    small.config["schedules"] = [{"name": "daily", "task": "stats", "cron": "0 3 * * *"}]
    service = Service(small).start(env={"LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1",
                                        "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    assert service.run("stats")["status"] == "success"

    def runs_of_schedule():
        state = service.get("/api/v1/schedules").json["schedules"][0]
        return state["started"]

    assert runs_of_schedule() == 0
    offset.write_text("+1d")
    wait_until(lambda: runs_of_schedule() == 1, 90)
    summary = service.run("cleanup")
    assert summary["status"] == "refused" and summary["total_deleted"] == 0, summary
    assert small.has("orphan")
    assert service.sum_of("heimdall_storage_guard_refusals_total", guard="clock_skew") >= 1
    offset.write_text("+0")
    assert service.run("stats")["status"] == "success"
    assert runs_of_schedule() == 1 and service.get("/readyz").status == 200
    service.stop()


# The service manager


class Manager:
    """What systemd is to a service: a socket for its messages."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.messages = []

    def read(self):
        self.socket.setblocking(False)
        try:
            while True:
                self.messages += self.socket.recv(65536).decode().splitlines()
        except BlockingIOError:
            return self.messages

    def wait_for(self, message, count=1, seconds=15):
        wait_until(lambda: self.read().count(message) >= count, seconds)


def test_the_service_manager_is_told_how_it_is(small):
    manager = Manager(small.root)
    service = Service(small).launch(env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1000000"})
    manager.wait_for("READY=1")
    manager.wait_for("WATCHDOG=1", 3)
    assert any(message.startswith("STATUS=") for message in manager.read())
    service.reload()
    manager.wait_for("RELOADING=1")
    manager.wait_for("READY=1", 2)
    service.stop()
    manager.wait_for("STOPPING=1")


def test_the_watchdog_hears_nothing_of_a_service_that_hangs(small):
    manager = Manager(small.root)
    service = Service(small).launch(env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1000000"})
    manager.wait_for("WATCHDOG=1", 2)
    service.signal(signal.SIGSTOP)
    time.sleep(0.2)
    manager.read().clear()
    time.sleep(1.2)
    assert manager.read() == []
    service.signal(signal.SIGCONT)
    manager.wait_for("WATCHDOG=1")
    service.stop()
