"""Bad networks (toxiproxy) between the program and real servers: what was cut is not known, and nothing is deleted by it."""

import json
import os
import urllib.request

import pytest

from servers import *
from world import *


class Toxiproxy(Server):
    def __init__(self):
        super().__init__("toxiproxy")
        self.count = 0

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.facts["api"] + path, method=method, data=json.dumps(body).encode() if body else None,
                                         headers={"Content-Type": "application/json"})
        answer = urllib.request.urlopen(request).read()
        return json.loads(answer) if answer else None

    def proxy(self, upstream):
        self.count += 1
        made = self.call("POST", "/proxies", {"name": f"p{self.count}", "listen": "127.0.0.1:0", "upstream": upstream, "enabled": True})
        return Link(self, made["name"], made["listen"])


class Link:
    def __init__(self, toxiproxy, name, address):
        self.toxiproxy, self.path, self.address = toxiproxy, f"/proxies/{name}", address

    def add(self, kind, stream="downstream", **attributes):
        self.toxiproxy.call("POST", f"{self.path}/toxics", {"name": kind, "type": kind, "stream": stream, "attributes": attributes})

    def heal(self, kind):
        self.toxiproxy.call("DELETE", f"{self.path}/toxics/{kind}")


@pytest.fixture(scope="session")
def toxiproxy():
    server = Toxiproxy()
    yield server
    server.close()


@pytest.fixture
def world(full_world, toxiproxy):
    """Both servers are reached through links that can be spoiled."""
    full_world.to_store = toxiproxy.proxy(full_world.server.endpoint.split("//")[1])
    full_world.to_database = toxiproxy.proxy(f"127.0.0.1:{full_world.postgresql.port}")
    full_world.store["endpoint"] = f"http://{full_world.to_store.address}"
    url = full_world.config["databases"]["app"]["url"]
    full_world.config["databases"]["app"]["url"] = url.replace(f"127.0.0.1:{full_world.postgresql.port}", full_world.to_database.address)
    return full_world


def many(world, live, orphans):
    kept = [f"live/{i:05}" for i in range(live)]
    world.rows(*kept)
    gone = [f"orphan/{i:05}" for i in range(orphans)]
    world.clone(*kept, *gone)
    world.bucket["guards"] = {**FAR}
    return {key.encode() for key in kept}, {key.encode() for key in gone}


def test_a_database_that_is_cut_after_many_rows(world):
    many(world, 100, 10)
    world.rows(*[f"more/{i}" for i in range(100_000)])
    world.bucket["guards"]["min_match_rate"] = 0
    world.to_database.add("limit_data", bytes=1_000_000)
    cut = world.plan()
    assert cut.code == UNREACHABLE, cut.story
    assert not world.plan_file.exists()
    world.to_database.heal("limit_data")
    world.plan().expect(OK)
    assert len(world.candidates()) == 10


def test_pages_that_are_always_cut(world):
    kept, gone = many(world, 1500, 1000)
    world.to_store.add("limit_data", bytes=100_000)
    cut = world.plan()
    assert cut.code in (PARTIAL, UNREACHABLE), cut.story
    assert not world.plan_file.exists() or world.candidates() == set()
    world.plan_file.unlink(missing_ok=True)
    world.to_store.heal("limit_data")
    world.plan().expect(OK)
    assert world.candidates() == gone


def test_a_slow_and_ragged_network(world):
    kept, gone = many(world, 200, 300)
    for link in (world.to_store, world.to_database):
        link.add("latency", latency=20, jitter=20)
        link.add("slicer", average_size=700, size_variation=600, delay=10)
    world.plan().expect(OK)
    assert set(world.apply("--keys").expect(OK).outcomes().values()) == {"deleted"}
    assert world.keys() == kept


def test_answers_to_deletes_that_are_reset(world):
    """What has no answer is in doubt, and is looked up: the journal and the bucket agree on each key."""
    kept, gone = many(world, 100, 2000)
    world.bucket["batch_size"] = 50
    world.plan().expect(OK)
    before = world.keys()
    process = world.start("apply", world.plan_file)
    wait_until(lambda: not os.path.exists(world.path("orphan/00000")) or process.popen.poll() is not None)
    world.to_store.add("reset_peer", timeout=2)
    try:
        process.result(120)
    finally:
        world.to_store.heal("reset_peer")
    world.run("recover", timeout=120).expect(OK)
    assert kept <= world.keys() <= before
    run = [line["run_id"] for line in world.run("runs").expect(OK).of("run") if line["command"] == "apply"][0]
    deleted = world.check_every_key(before, run)
    assert 0 < len(deleted) < 2000
