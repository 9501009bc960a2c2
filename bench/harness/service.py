"""The service: what it costs while nothing happens, how soon it is ready, and how it answers while it works."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from .measure import Failed
from .servers import Loopback
from .tables import megabytes, number, significant, table

TITLE = "The service"
BUCKETS = 1000
RATE = 2000  # requests per second


class Service:
    """heimdall-storage serve with a configuration of one's own, in a fresh folder."""

    def __init__(self, bench, folder, config, environment=None):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (folder / "heimdall.yaml").write_text(json.dumps({**config, "state": {"path": "./state"}, "http": {"listen": f"127.0.0.1:{self.port}", "token_env": "TOKEN"}}))
        self.log = open(folder / "log", "wb")
        self.started = time.monotonic()
        self.process = subprocess.Popen([bench.binary, "serve", "--config", folder / "heimdall.yaml"], stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL, env={**os.environ, "TOKEN": "bench", **(environment or {})})
        self.address = f"http://127.0.0.1:{self.port}"

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Authorization": "Bearer bench", "Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def wait_ready(self):
        """Seconds from the start of the process to the first answer that all is well."""
        while time.monotonic() - self.started < 60:
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return time.monotonic() - self.started
            except OSError:
                pass
            if self.process.poll() is not None:
                raise Failed(f"serve ended: {pathlib.Path(self.log.name).read_text()[-1000:]}")
            time.sleep(0.002)
        raise Failed(f"serve was not ready after a minute: {pathlib.Path(self.log.name).read_text()[-1000:]}")

    def begin(self, task):
        status, body = self.ask("POST", "/api/v1/runs", json.dumps({"task": task}))
        if status != 202:
            raise Failed(f"POST /api/v1/runs: {status} {body[:500]}")
        return json.loads(body)["run_id"]

    def run_state(self, run_id):
        return json.loads(self.ask("GET", f"/api/v1/runs/{run_id}")[1])

    def run(self, task):
        run_id = self.begin(task)
        while (state := self.run_state(run_id))["status"] in ("queued", "running"):
            time.sleep(0.05)
        if state["status"] != "success":
            raise Failed(f"{task}: {state}")
        return state

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def fresh(bench, name):
    folder = bench.work / "service" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def directories(folder, count):
    """Buckets that are parts of one directory, of a few files each, with a list of keys beside it."""
    config = {"stores": {"media": {"type": "directory", "path": "./media", "age": "mtime"}}, "buckets": []}
    old = time.time() - 90 * 86400
    for i in range(count):
        name = f"bucket-{i:04}"
        (folder / "media" / name).mkdir(parents=True)
        for j in range(3):
            path = folder / "media" / name / f"object-{j}"
            path.write_bytes(b"x" * 100)
            os.utime(path, (old, old))
        (folder / f"{name}.keys").write_text(f"{name}/object-0\n{name}/object-1\n")
        config["buckets"].append({"name": name, "store": "media", "prefixes": [f"{name}/"], "references": [{"list": f"{name}.keys"}]})
    return config


def scrape(service, rounds):
    """The middle one of several scrapes on one connection each, and how large the page is."""
    took = []
    for _ in range(rounds):
        began = time.monotonic()
        status, body = service.ask("GET", "/metrics")
        took.append(time.monotonic() - began)
        if status != 200:
            raise Failed(f"/metrics: {status}")
    took.sort()
    return {"median_ms": round(took[len(took) // 2] * 1000, 2), "worst_ms": round(took[-1] * 1000, 2), "bytes": len(body), "rounds": rounds}


def many_buckets(bench):
    folder = fresh(bench, "buckets")
    with Service(bench, folder, directories(folder, BUCKETS)) as service:
        ready = service.wait_ready()
        service.run("stats")
        return {"buckets": BUCKETS, "ready_seconds": round(ready, 3), **scrape(service, bench.pick(20, 100))}


def idle(bench):
    """With nothing to do but to look at its dependencies, as the platform has them: three buckets, and no schedule due."""
    folder = fresh(bench, "idle")
    config = {**directories(folder, 3), "schedules": [{"name": "cleanup", "task": "cleanup", "cron": "0 3 * * *", "time_zone": "Europe/Rome"},
                                                      {"name": "stats", "task": "stats", "every": "1d"}]}
    ready = []
    for _ in range(5):
        with Service(bench, folder, config) as service:
            ready.append(service.wait_ready())
    with Service(bench, folder, config) as service:
        service.wait_ready()
        service.run("stats")  # memory as it is after work
        seconds = bench.pick(5, 60)
        before, began = service.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        used = service.cpu_seconds() - before
        return {"seconds": seconds, "cpu_percent": round(100 * used / (time.monotonic() - began), 3), "resident_bytes": service.resident(),
                "ready_ms": round(sorted(ready)[2] * 1000, 1)}


def attack(bench, url, rate, seconds):
    """What vegeta sees at a constant rate: requests leave on time, whether earlier ones were answered or not."""
    made = subprocess.run([bench.tool("vegeta"), "attack", f"-rate={rate}/s", f"-duration={seconds}s", "-timeout=5s", "-connections=64", "-max-workers=256"],
                          input=f"GET {url}\n".encode(), capture_output=True, check=True).stdout
    report = json.loads(subprocess.run([bench.tool("vegeta"), "report", "-type=json"], input=made, capture_output=True, check=True).stdout)
    if report["success"] < 1:
        raise Failed(f"{(1 - report['success']) * 100:.2f} % of the requests failed: {report['status_codes']} {report['errors'][:3]}")
    latencies = report["latencies"]
    return {"rate": rate, "seconds": seconds, "requests": report["requests"], "achieved": round(report["rate"], 1),
            **{f"{name}_ms": round(latencies[field] / 1e6, 2) for name, field in (("p50", "50th"), ("p90", "90th"), ("p99", "99th"), ("max", "max"))}}


def under_load(bench):
    """Requests while a sweep runs, beside the store and the load itself on the same CPUs."""
    seconds = bench.pick(5, 20)
    folder = fresh(bench, "load")
    old = time.time() - 90 * 86400
    (folder / "media").mkdir()
    (folder / "keys").write_text("".join(f"live-{i}\n" for i in range(100)))
    for i in range(100):
        (folder / "media" / f"live-{i}").touch()
    sweep_rate = 1000  # objects per second: so that the sweep lasts as long as the load
    for i in range(sweep_rate * (seconds + 15)):
        directory = folder / "media" / f"{i // 1000:03}"
        directory.mkdir(exist_ok=True)
        path = directory / f"{i:06}"
        path.touch()
        os.utime(path, (old, old))
    config = {"stores": {"media": {"type": "directory", "path": "./media", "age": "mtime"}},
              "buckets": [{"name": "media", "store": "media", "mode": "delete", "grace": "0s", "max_rate": sweep_rate, "references": [{"list": "keys"}],
                           "guards": {"max_orphan_ratio": 1, "max_unreferenced_class": 10**9}}]}
    figures = {}
    with Service(bench, folder, config) as service:
        service.wait_ready()
        figures["idle"] = attack(bench, service.address + "/metrics/storage", RATE, seconds)
        run_id = service.begin("cleanup")
        while service.run_state(run_id).get("progress", {}).get("phase") != "deleting" and service.run_state(run_id)["status"] in ("queued", "running"):
            time.sleep(0.05)
            if not (folder / "media/000/000000").exists():
                break
        figures["sweep"] = attack(bench, service.address + "/metrics/storage", RATE, seconds)
        if service.run_state(run_id)["status"] != "running":
            raise Failed(f"the sweep ended before the load: {service.run_state(run_id)}")
        figures["metrics"] = attack(bench, service.address + "/metrics", 100, bench.pick(3, 10))
    return figures


def scanning(bench):
    """The same while ten million generated objects are compared, which takes all a CPU gives."""
    seconds = bench.pick(5, 15)
    folder = fresh(bench, "scan")
    count = bench.pick(5_000_000, 20_000_000)
    with Loopback(bench.loopback, "hierarchical", count) as store:
        (folder / "keys").write_bytes(subprocess.check_output([bench.loopback, "references", "--shape", "hierarchical", "--count", "1000", "--orphan-every", "10", "--dangling", "0"]))
        config = {"stores": {"store": {"type": "s3", "endpoint": store.endpoint, "access_key_env": "AWS_ACCESS_KEY_ID", "secret_key_env": "AWS_SECRET_ACCESS_KEY", "server": "aws"}},
                  "buckets": [{"name": "bench", "store": "store", "references": [{"list": "keys"}],
                               "guards": {"max_orphan_ratio": 1, "max_unreferenced_class": 10**13, "min_match_rate": 0}}]}
        with Service(bench, folder, config, store.KEYS) as service:
            service.wait_ready()
            run_id = service.begin("stats")
            result = attack(bench, service.address + "/metrics/storage", RATE, seconds)
            return {**result, "objects": count, "running_to_the_end": service.run_state(run_id)["status"] == "running"}


def measure(bench):
    figures = {}
    for name, part in (("buckets", many_buckets), ("idle", idle), ("load", under_load), ("scan", scanning)):
        figures[name] = part(bench)
        bench.say(f"  {name}: {figures[name]}")
    shutil.rmtree(bench.work / "service", ignore_errors=True)
    return figures


def page(figures):
    buckets, quiet, load, scan = figures["buckets"], figures["idle"], figures["load"], figures["scan"]
    under = load["sweep"]
    goals = [
        (f"`/metrics` with {number(buckets['buckets'])} buckets, {number(buckets['bytes'])} bytes", f"{significant(buckets['median_ms'])} ms (worst of {buckets['rounds']}: {significant(buckets['worst_ms'])} ms)", "5 ms",
         buckets["median_ms"] < 5),
        (f"p99 of `/metrics/storage` at {number(RATE)} requests/s while a sweep runs", f"{significant(under['p99_ms'])} ms", "20 ms", under["p99_ms"] < 20),
        ("idle CPU", f"{quiet['cpu_percent']:.2f} %", "0.5 %", quiet["cpu_percent"] < 0.5),
        ("idle memory (RSS)", f"{megabytes(quiet['resident_bytes'])} MB", "40 MB", quiet["resident_bytes"] < 40e6),
        ("start to ready", f"{significant(quiet['ready_ms'])} ms", "300 ms", quiet["ready_ms"] < 300),
    ]
    lines = [f"`serve` on directories. Idle over {quiet['seconds']} s after a run, with three buckets and two schedules; start to ready is the middle one of 5, from the start of the process to the first "
             f"200 of `/readyz`; with {number(buckets['buckets'])} buckets it takes {significant(buckets['ready_seconds'])} s.", ""]
    lines += table(["what", "measured", "goal", ""], [[what, measured, goal, "met" if met else "missed"] for what, measured, goal, met in goals])
    lines += ["Requests at a constant rate (vegeta: they leave on time, whether earlier ones were answered or not; on the same CPUs), 64 connections:", ""]
    rows = [("`/metrics/storage`, nothing runs", load["idle"]), ("`/metrics/storage`, a sweep of 1,000 objects/s runs", under),
            (f"`/metrics/storage`, {number(scan['objects'])} generated objects are listed and compared", scan), ("`/metrics`, the sweep runs", load["metrics"])]
    return lines + table(["what", "requests/s", "requests", "p50 ms", "p90 ms", "p99 ms", "max ms"],
                         [[what, number(row["achieved"]), number(row["requests"]), *[significant(row[f"{p}_ms"]) for p in ("p50", "p90", "p99", "max")]] for what, row in rows])


def plots(_):
    return {}
