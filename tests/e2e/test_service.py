"""`serve` on a directory: from its start to its end, over HTTP alone."""

import shutil
import socket
import subprocess
import threading

import pytest

from service import *
from world import *

GB = 1024**3


@pytest.fixture
def service(world):
    world.live("live/1", "live/2", "live/3")
    return Service(world)


def orphans(world, count, age=90 * DAY):
    names = [f"orphan/{i:05}" for i in range(count)]
    world.put(*names, age=age)
    world.bucket["guards"] = {"max_orphan_ratio": 1.0, "max_unreferenced_class": 1_000_000}
    return {name.encode() for name in names}


# Start


def test_it_is_ready_soon_and_says_so_everywhere(world, service):
    service.start()
    assert service.get("/livez").status == 200
    assert service.get("/readyz").json["status"] == "ready"
    assert set(service.dependencies()) == {"state state", "store disk", "database app"}
    assert service.log_events("service.ready")[0]["listen"].endswith(f":{service.port}")
    page = service.get("/").expect(200)
    assert page.headers["content-type"].startswith("text/html") and b"/metrics/storage" in page.body
    assert "paths" in service.get("/api/v1/openapi.json").json
    service.stop()
    assert [line["event"] for line in service.log_lines()][-1] == "service.stopped"


def test_the_platforms_gauges_are_there_from_the_start_with_0(world, service):
    world.add_bucket("second")
    service.start()
    for bucket in ("media", "second"):
        gauges = service.gauges(bucket)
        assert gauges.pop("disk_usage_gb") >= 0  # the disk's own
        assert set(gauges.values()) == {0}
    metrics = service.metrics()
    assert metrics['heimdall_storage_last_success_timestamp_seconds{task="cleanup"}'] == 0
    assert metrics['heimdall_storage_deletions_total{bucket="media",outcome="deleted"}'] == 0
    assert service.sum_of("heimdall_storage_guard_refusals_total") == 0
    service.stop()


def test_promtool_has_nothing_to_say_but_of_the_platforms_names(world, service):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    orphans(world, 3)
    service.start()
    service.run("stats")
    text = service.get("/metrics").expect(200)
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    service.stop()
    said = subprocess.run([promtool, "check", "metrics"], input=text.body, capture_output=True)
    complaints = [line for line in (said.stdout + said.stderr).decode().splitlines() if line]
    ours = [line for line in complaints if line.split()[0] not in {f"heimdall_storage_{name}_gb" for name in ("disk_usage", "bucket_size", "orphan_size")}]
    assert ours == [] and said.returncode in (0, 3), complaints


# Runs


def test_statistics_fill_the_figures_everywhere(world, service):
    orphans(world, 5)
    world.put("young", age=0)
    service.start()
    before = service.get("/metrics/storage").json
    assert before["status"] == "healthy" and before["total_orphans"] == 0 and before["buckets"]["media"]["measured_at"] is None
    summary = service.run("stats")
    assert summary["status"] == "success" and summary["command"] == "stats", summary
    figures = summary["buckets"]["media"]
    assert (figures["total_objects"], figures["orphans_found"], figures["young_objects"], figures["due_objects"]) == (9, 6, 1, 5)
    gauges = service.gauges()
    assert (gauges["total_objects"], gauges["referenced_objects"], gauges["orphan_files"]) == (9, 3, 6)
    assert gauges["bucket_size_gb"] == pytest.approx(90 / GB) and gauges["orphan_size_gb"] == pytest.approx(60 / GB)
    health = service.get("/metrics/storage").json
    assert health["status"] == "critical" and health["total_orphans"] == 6
    assert health["orphan_percentage"] == pytest.approx(100 * 6 / 9, abs=0.01)
    assert health["total_size_gb"] == pytest.approx(90 / GB) and health["buckets"]["media"]["orphans"] == 6
    assert health["buckets"]["media"]["measured_at"]
    assert world.keys() == {b"live/1", b"live/2", b"live/3", b"young"} | {f"orphan/{i:05}".encode() for i in range(5)}
    service.stop()
    # The figures are there again after a restart, without a run.
    service.start()
    assert service.gauges()["total_objects"] == 9
    service.stop()


def test_a_cleanup_deletes_exactly_what_is_due_and_a_dry_run_nothing(world, service):
    due = orphans(world, 7)
    world.put("young", age=0)
    kept = world.keys() - due
    service.start()
    dry = service.run("cleanup", dry_run=True)
    assert dry["dry_run"] is True and dry["total_deleted"] == 0 and dry["buckets"]["media"]["due_objects"] == 7
    assert world.keys() == kept | due
    summary = service.run("cleanup")
    assert summary["status"] == "success" and summary["total_deleted"] == 7
    assert world.keys() == kept
    metrics = service.metrics()
    assert metrics['heimdall_storage_deletions_total{bucket="media",outcome="deleted"}'] == 7
    assert metrics['heimdall_storage_runs_total{task="cleanup",status="success"}'] == 2
    assert metrics['heimdall_storage_last_success_timestamp_seconds{task="cleanup"}'] == pytest.approx(time.time(), abs=60)
    assert service.gauges()["orphan_files"] == 1  # less what was deleted
    deletions = service.get(f"/api/v1/runs/{summary['run_id']}/deletions").json["deletions"]
    assert {key_of(line): line["outcome"] for line in deletions} == {key: "deleted" for key in due}
    service.stop()
    # The command line tells the same.
    assert world.journal(summary["run_id"]) == {key: "deleted" for key in due}
    assert [run["run_id"] for run in world.run("runs").expect(OK).of("run")][0] == summary["run_id"]


def test_a_bucket_that_only_reports_loses_nothing(world, service):
    orphans(world, 5)
    world.bucket["mode"] = "report"
    before = world.keys()
    service.start()
    summary = service.run("cleanup")
    assert summary["total_deleted"] == 0 and summary["buckets"]["media"]["orphans_found"] == 5
    assert world.keys() == before
    service.stop()


def test_a_refusal_is_counted_told_and_deletes_nothing(world, service):
    world.put(*[f"orphan/{i}" for i in range(20)])  # more than half of the bucket
    service.start()
    summary = service.run("cleanup")
    assert summary["status"] == "refused" and summary["total_deleted"] == 0
    assert service.sum_of("heimdall_storage_guard_refusals_total", guard="orphan_ratio") == 1
    line = service.wait_for_log("guard.refused", run_id=summary["run_id"])
    assert line["level"] == "warning"
    assert len(world.keys()) == 23
    service.stop()


def test_a_run_can_be_followed_from_its_start_and_again_from_the_middle(world, service):
    orphans(world, 300)
    world.bucket.update(batch_size=20)
    service.start()
    run_id = service.begin_run("cleanup")
    events = list(service.follow(f"/api/v1/runs/{run_id}/events"))
    assert events[-1].type == "summary" and events[-1].data["total_deleted"] == 300
    assert {"status", "progress"} <= {event.type for event in events}
    numbers = [event.id for event in events]
    assert numbers == sorted(set(numbers))
    middle = len(events) // 2
    assert [event.id for event in service.follow(f"/api/v1/runs/{run_id}/events", numbers[middle])] == numbers[middle + 1:]
    service.stop()


def test_a_run_that_is_cancelled_ends_with_its_batch(world, service):
    due = orphans(world, 2000)
    world.bucket.update(batch_size=20, max_rate=200)
    before = world.keys()
    service.start()
    run_id = service.begin_run("cleanup")
    waiting = service.begin_run("stats")
    wait_until(lambda: not world.has("orphan/00000"))
    assert (service.summary(waiting)["status"], service.summary(waiting)["waiting"]) == ("running", True)
    service.post(f"/api/v1/runs/{run_id}/cancel").expect(202)
    summary = service.wait_for_run(run_id, 10)
    assert summary["status"] != "success" and 0 < summary["total_deleted"] < 2000
    assert service.wait_for_run(waiting)["status"] == "success"
    service.stop()
    gone = before - world.keys()
    assert gone < due and gone == {key for key, outcome in world.journal(run_id).items() if outcome == "deleted"}


# Who may change something


def test_nothing_changes_without_the_token(world, service):
    orphans(world, 3)
    before = world.keys()
    service.start()
    for token in (None, "", "wrong", service.token + "x", service.token[:-1]):
        refused = service.post("/api/v1/runs", {"task": "cleanup"}, token=token).expect(401)
        assert refused.headers["content-type"] == "application/problem+json" and "www-authenticate" in refused.headers
    assert service.get("/api/v1/runs").json["runs"] == []
    assert world.keys() == before
    service.stop()
    assert service.token not in service.log_text()


def test_without_a_configured_token_nothing_can_be_changed(world):
    world.live("1", "2")
    service = Service(world, token=None).start()
    for token in (None, "", "anything"):
        assert service.post("/api/v1/runs", {"task": "stats"}, token=token).expect(403).json["status"] == 403
    assert service.get("/metrics/storage").status == 200
    service.stop()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"task":"explode"}', b'{"task":"stats","tsak":1}', b'{"task":"stats","buckets":["nowhere"]}',
                                  b'{"task":"stats","dry_run":"yes"}', b'{"task":1}', b"\xff\xfe", b'{"task":' + b"[" * 5000])
def test_a_body_that_is_no_request_is_a_problem_and_starts_nothing(world, service, body):
    service.start()
    answer = service.post("/api/v1/runs", body)
    assert 400 <= answer.status < 500 and answer.headers["content-type"] == "application/problem+json"
    assert {"status", "title"} <= answer.json.keys()
    assert service.get("/api/v1/runs").json["runs"] == []
    service.stop()


# Schedules


def test_a_schedule_runs_by_itself_and_stands_in_the_history(world, service):
    due = orphans(world, 4)
    world.config["schedules"] = [{"name": "often", "task": "cleanup", "every": "1s"}, {"name": "daily", "task": "stats", "cron": "0 3 * * *", "time_zone": "Europe/Rome"}]
    service.start()
    wait_until(lambda: service.metrics()['heimdall_storage_runs_total{task="cleanup",status="success"}'] >= 2)
    states = {state["name"]: state for state in service.get("/api/v1/schedules").json["schedules"]}
    assert states["often"]["started"] >= 2 and states["daily"]["started"] == 0
    assert len(states["daily"]["next_runs"]) >= 5
    assert service.metrics()['heimdall_storage_schedule_next_run_timestamp_seconds{schedule="daily"}'] > time.time()
    service.stop()
    assert not due & world.keys()
    runs = [run for run in world.run("runs").expect(OK).of("run") if run["command"] == "cleanup"]
    assert len(runs) >= 2 and sum(run["total_deleted"] for run in runs) == 4
    first = min(runs, key=lambda run: run["started_at"])
    assert set(world.journal(first["run_id"])) == due
    started = service.log_events("run.started", run_id=first["run_id"])
    assert started and "often" in json.dumps(started)


# Reload


def test_a_reload_takes_a_good_file_and_keeps_the_old_one_before_a_broken_one(world, service):
    service.start()
    world.add_bucket("second")
    service.reload()
    wait_until(lambda: "second" in service.get("/metrics/storage").json["buckets"])
    wait_until(lambda: service.metrics()["heimdall_storage_config_last_reload_successful"] == 1)
    assert service.gauges("second")["total_objects"] == 0
    world.config_file.write_text(world.config_file.read_text().replace('"grace"', '"garce"', 1))
    service.signal(signal.SIGHUP)
    refused = service.wait_for_log("config.refused")
    assert "garce" in json.dumps(refused) and "grace" in json.dumps(refused) and refused["level"] == "error"
    wait_until(lambda: service.metrics()["heimdall_storage_config_last_reload_successful"] == 0)
    assert set(service.get("/metrics/storage").json["buckets"]) == {"media", "second"}
    assert service.run("stats")["status"] == "success"
    del world.config["buckets"][1]
    service.reload()
    wait_until(lambda: set(service.get("/metrics/storage").json["buckets"]) == {"media"})
    wait_until(lambda: service.metrics()["heimdall_storage_config_last_reload_successful"] == 1)
    assert not any('bucket="second"' in series for series in service.metrics())
    service.stop()


# The end


def test_a_sigterm_in_the_middle_of_a_sweep_finishes_the_batch_and_loses_nothing(world, service):
    due = orphans(world, 3000)
    world.bucket.update(batch_size=50, max_rate=300)
    before = world.keys()
    service.start()
    run_id = service.begin_run("cleanup")
    wait_until(lambda: not world.has("orphan/00000"))
    service.stop()
    gone = before - world.keys()
    assert 0 < len(gone) < 3000 and gone < due
    journal = world.journal(run_id)
    assert gone == {key for key, outcome in journal.items() if outcome == "deleted"}
    assert "in_doubt" not in journal.values()
    assert world.run("recover").expect(OK).outcomes() == {}
    run = next(run for run in world.run("runs").expect(OK).of("run") if run["run_id"] == run_id)
    assert run["total_deleted"] == len(gone) and run["status"] == "interrupted"


def test_open_connections_and_streams_do_not_hold_up_the_end(world, service):
    service.start()
    idle = [service.connect() for _ in range(20)]
    stream = service.connect()
    stream.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n\r\n".encode())
    assert stream.recv(1000).startswith(b"HTTP/1.1 200")
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < 5
    for connection in [*idle, stream]:
        connection.close()


def test_killed_in_the_middle_of_a_sweep_the_next_start_looks_up_what_is_in_doubt(world, service):
    due = orphans(world, 3000)
    world.bucket.update(batch_size=50, max_rate=500)
    before = world.keys()
    service.start()
    run_id = service.begin_run("cleanup")
    wait_until(lambda: not world.has("orphan/00000"))
    service.signal(signal.SIGKILL)
    service.popen.wait()
    service.start()
    wait_until(lambda: "in_doubt" not in world.journal(run_id).values())
    wait_until(lambda: service.gauges()["total_objects"] == len(world.keys()))
    assert {key for key, outcome in world.journal(run_id).items() if outcome in ("deleted", "already_gone")} == before - world.keys()
    assert service.run("cleanup")["status"] == "success"
    assert world.keys() == before - due
    service.stop()


def test_the_figures_after_a_restart_are_those_from_before(world, service):
    """Of the last complete scan, less what was deleted since: also by a plan that is older than the scan."""
    orphans(world, 10)
    service.start()
    plan = service.wait_for_run(service.post("/api/v1/plans", {"limit": 3}).expect(202).json["run_id"])["run_id"]
    world.put(*[f"more/{i:03}" for i in range(500)], age=90 * DAY)
    assert service.run("stats")["total_orphans_found"] == 510
    digest = service.get(f"/api/v1/plans/{plan}").expect(200).json["digest"]
    applied = service.wait_for_run(service.post(f"/api/v1/plans/{plan}/approve", {"digest": digest}).expect(202).json["run_id"])
    assert applied["total_deleted"] == 3
    before = service.gauges()
    assert before["total_objects"] == 510 and before["orphan_files"] == 507
    measured = service.metrics()['heimdall_storage_bucket_measured_timestamp_seconds{bucket="media"}']
    service.stop()
    service.start()
    after = service.gauges()
    assert {**after, "disk_usage_gb": 0} == {**before, "disk_usage_gb": 0}
    assert service.metrics()['heimdall_storage_bucket_measured_timestamp_seconds{bucket="media"}'] == measured
    service.stop()


def test_the_image_serves_without_anything_of_this_machine(world, service, root):
    """What the Dockerfile makes its last stage of, run by chroot as the user of the image."""
    top = pathlib.Path(__file__).resolve().parents[2]
    image = world.root / "image"
    subprocess.run([top / "deploy/docker/rootfs", BINARY, image], check=True)
    world.config["state"]["path"] = "/var/lib/heimdall-storage"
    world.config["stores"]["disk"]["path"] = "/tmp/media"
    world.config["databases"]["app"]["path"] = "/tmp/app.db"
    world.config["schedules"] = [{"name": "daily", "task": "stats", "cron": "0 3 * * *", "time_zone": "Europe/Rome"}]  # knows its time zones
    orphans(world, 1)
    shutil.copytree(world.media, image / "tmp/media")
    shutil.copy(world.database, image / "tmp/app.db")
    (image / "etc/heimdall-storage").mkdir()
    world.write_config()
    shutil.copy(world.config_file, image / "etc/heimdall-storage/heimdall.yaml")
    with open(service.log_file, "wb") as log:
        service.popen = subprocess.Popen(["/usr/sbin/chroot", "--userspec=65532:65532", image, "/usr/bin/heimdall-storage", "serve", "--config", "/etc/heimdall-storage/heimdall.yaml"],
                                         stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={"TEST_TOKEN": service.token})
    world.processes.append(service.popen)
    service.wait_for("/readyz")
    summary = service.run("stats")
    assert summary["status"] == "success" and summary["buckets"]["media"]["orphans_found"] == 1
    service.stop()
