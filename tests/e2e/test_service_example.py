"""`examples/heimdall/run --serve`, as docs/operations.md lets one try it: a cleanup happens by itself, the store goes and comes back, SIGTERM."""

import json
import subprocess

import pytest

from servers import TOP
from service import *
from world import *

EXPECTED = json.loads((TOP / "examples/heimdall/expected.json").read_text())


def test_the_example_cleans_up_by_itself_and_waits_for_its_store(world):
    service = Service(world, token="try-it")
    with open(service.log_file, "wb") as log:
        service.popen = subprocess.Popen([TOP / "examples/heimdall/run", "--serve", f"127.0.0.1:{service.port}", "2s"], stdin=subprocess.PIPE, stdout=log, stderr=log,
                                         cwd=world.root, env={**world.environment(), "HEIMDALL_STORAGE": BINARY, "TMPDIR": str(world.root)})
    world.processes.append(service.popen)

    def tell(words):
        service.popen.stdin.write(words.encode() + b"\n")
        service.popen.stdin.flush()

    service.wait_for("/readyz", seconds=60)
    due = {bucket: sum(entry["verdict"] == "in_grace" for entry in objects) for bucket, objects in EXPECTED.items()}  # there is no grace here
    wait_until(lambda: service.sum_of("heimdall_storage_deletions_total", outcome="deleted") == sum(due.values()), 60)
    health = service.get("/metrics/storage").json
    assert set(health["buckets"]) == set(EXPECTED)
    for bucket, count in due.items():
        assert service.sum_of("heimdall_storage_deletions_total", outcome="deleted", bucket=bucket) == count
    run_id = service.begin_run("stats")
    assert list(service.follow(f"/api/v1/runs/{run_id}/events"))[-1].type == "summary"
    tell("stop minio")
    service.wait_for_dependency("store minio", "failed")
    assert service.gauges("heimdall-raw-iq")["total_objects"] > 0
    tell("start minio")
    service.wait_for("/readyz")
    tell("term")
    service.popen.wait(30)
    assert "It exited with 0." in service.log_text()
