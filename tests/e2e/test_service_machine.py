"""What a service meets on its own machine: a port that is taken, a second service, full and damaged state, a stepped clock; and its manager."""

import glob
import shutil
import socket
import subprocess

import pytest

from service import *
from servers import FAR
from world import *

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
        refused = service.log_events("service.refused")[0]
        assert str(service.port) in refused["message"] and "taken" in refused["message"] and refused["hint"]
    Service(small).start().stop()


def test_two_services_on_one_state_directory_are_one_too_many(small):
    first = Service(small).start()
    second = Service(small)  # on another port
    second.log_file = small.root / "second.log"
    second.launch()
    second.expect_exit(LOCKED, 10)
    small.config["http"]["listen"] = f"127.0.0.1:{first.port}"
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
        run_id = service.begin_run("cleanup")  # the history may have no room for it
        assert service.wait_for_log("run.ended", run_id=run_id)["status"] in ("failed", "partial")
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


def test_a_state_disk_that_is_full_at_the_start_is_named(small, root):
    small.state.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", small.state], capture_output=True).returncode != 0:
        pytest.skip("this user may not mount")
    service = Service(small)
    try:
        small.scan().expect(OK)
        stuffing = small.state / "stuffing"
        with pytest.raises(OSError), open(stuffing, "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 512)
        service.launch()
        service.expect_exit(FAILURE, 10)
        refused = service.log_events("service.refused")[0]
        assert "full" in refused["message"] and "free some space" in refused["hint"]
        error = small.run("runs").expect(FAILURE).of("error")[0]
        assert "full" in error["message"] and "free some space" in error["hint"]
        stuffing.unlink()
        service.start()
        assert service.run("stats")["status"] == "success"
        service.stop()
    finally:
        if service.popen and service.popen.poll() is None:
            service.popen.kill()
            service.popen.wait()
        subprocess.run(["umount", small.state], check=True)


def test_once_the_state_directory_is_gone_nothing_is_deleted(small):
    """Invariant 6: what a state directory that nobody looks at says is known to nobody."""
    small.put("orphan")
    small.bucket["guards"] = {**FAR}
    service = Service(small).start()
    shutil.rmtree(small.state)
    service.wait_for_dependency("state state", "failed", 60)
    run_id = service.begin_run("cleanup")
    assert service.wait_for_log("run.ended", run_id=run_id)["status"] == "failed"
    assert small.has("orphan") and not small.state.exists()
    assert "removed or replaced" in service.dependencies()["state state"]["message"]
    service.stop()
    service.start()
    assert service.run("cleanup")["total_deleted"] == 1
    service.stop()


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
    small.config["schedules"] = [{"name": "daily", "task": "stats", "cron": "0 3 * * *"},
                                 {"name": "often", "task": "stats", "every": "3s"}]  # so that the steps are noticed soon
    service = Service(small).start(env={"LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1",
                                        "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    assert service.run("stats")["status"] == "success"

    def runs_of_schedule():
        return next(state["started"] for state in service.get("/api/v1/schedules").json["schedules"] if state["name"] == "daily")

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
