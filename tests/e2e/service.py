"""A running `heimdall-storage serve`: asks it over HTTP, reads its log, and ends it."""

import collections
import http.client
import json
import re
import signal
import socket
import subprocess
import time

from world import *

TOKEN = "a token for tests"
GAUGES = ["disk_usage_gb", "bucket_size_gb", "orphan_files", "orphan_size_gb", "total_objects", "referenced_objects"]
MOST_TO_STOP = 15  # seconds


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def expect(self, status):
        assert self.status == status, f"expected {status}, got {self.status}: {self.body[:2000]!r}"
        return self


Event = collections.namedtuple("Event", "id type data")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """Of one world; `start()` may be called again after it ended. Ends with its world at the latest."""

    def __init__(self, world, token=TOKEN):
        self.world, self.token = world, token
        self.port = free_port()
        world.config["http"] = {"listen": f"127.0.0.1:{self.port}", **({"token_env": "TEST_TOKEN"} if token else {})}
        self.log_file = world.root / "service.log"
        self.popen = None

    # The process

    def launch(self, *args, env=None, wrapper=()):
        """Starts it and does not wait."""
        command = [os.fsencode(word) for word in wrapper] + self.world.command("serve", "--log-format", "json", *args, as_json=False)
        environment = self.world.environment({**({"TEST_TOKEN": self.token} if self.token else {}), **(env or {})})
        with open(self.log_file, "ab") as log:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.world.root, env=environment)
        self.world.processes.append(self.popen)
        return self

    def start(self, *args, until="/readyz", **options):
        self.launch(*args, **options)
        self.wait_for(until)
        return self

    def wait_for(self, path, status=200, seconds=30):
        def answers():
            assert self.popen.poll() is None, f"it ended with {self.popen.returncode}: {self.log_text()}"
            try:
                return self.get(path).status == status
            except OSError:
                return False
        wait_until(answers, seconds)

    def signal(self, number):
        self.popen.send_signal(number)

    def stop(self):
        """In order, and soon."""
        self.signal(signal.SIGTERM)
        self.expect_exit(0, MOST_TO_STOP)

    def expect_exit(self, code, seconds=30):
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it goes on after {seconds} s: {self.log_text()}") from None
        assert self.popen.returncode == code, f"expected exit {code}, got {self.popen.returncode}: {self.log_text()}"

    def reload(self):
        """Tells it to, with the world's configuration of now."""
        self.world.write_config()
        self.signal(signal.SIGHUP)

    # HTTP

    def call(self, method, path, body=None, token=None, headers=None, timeout=20):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        fields = dict(headers or {})
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, token=..., **options):
        return self.call("POST", path, body if body is not None else {}, self.token if token is ... else token, **options)

    def begin_run(self, task, **body):
        return self.post("/api/v1/runs", {"task": task, **body}).expect(202).json["run_id"]

    def summary(self, run_id):
        return self.get(f"/api/v1/runs/{run_id}").expect(200).json

    def wait_for_run(self, run_id, seconds=60):
        wait_until(lambda: self.summary(run_id)["status"] not in ("running", "queued"), seconds)
        return self.summary(run_id)

    def run(self, task, **body):
        """A whole run: its summary."""
        return self.wait_for_run(self.begin_run(task, **body))

    def dependencies(self):
        """What /readyz says of each store, database and the state: {"store disk": its entry}."""
        return {f"{entry['kind']} {entry['name']}": entry for entry in self.get("/readyz").json["dependencies"]}

    def wait_for_dependency(self, name, status, seconds=30):
        wait_until(lambda: self.dependencies()[name]["status"] == status, seconds)

    def metrics(self):
        """{'name{label="value"}': number}"""
        text = self.get("/metrics").expect(200).body.decode()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line and not line.startswith("#")}

    def gauges(self, bucket="media"):
        metrics = self.metrics()
        return {name: metrics[f'heimdall_storage_{name}{{bucket="{bucket}"}}'] for name in GAUGES}

    def sum_of(self, name, **labels):
        """Over all series of a name that carry these labels."""
        total = 0
        for series, value in self.metrics().items():
            if re.split(r"[{]", series)[0] == name and all(f'{label}="{text}"' in series for label, text in labels.items()):
                total += value
        return total

    def follow(self, path, last_event_id=None, timeout=30):
        """Server-sent events as they come; ends with the stream."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(last_event_id)} if last_event_id is not None else {})}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        assert answer.getheader("Content-Type").startswith("text/event-stream")
        fields = {}
        try:
            for line in iter(answer.readline, b""):
                line = line.decode().rstrip("\r\n")
                if not line and "data" in fields:
                    yield Event(int(fields["id"]) if "id" in fields else None, fields.get("event", "message"), json.loads(fields["data"]))
                    fields = {}
                elif line and not line.startswith(":"):
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
        finally:
            connection.close()

    def raw(self, data, timeout=10):
        """Sends bytes and returns all that comes back until the connection is closed."""
        with self.connect(timeout) as connection:
            connection.sendall(data)
            received = b""
            while True:
                try:
                    part = connection.recv(65536)
                except (ConnectionResetError, socket.timeout):
                    return received
                if not part:
                    return received
                received += part

    def connect(self, timeout=10):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    # The log

    def log_text(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_lines(self):
        """Every line is one JSON object that says when, how bad, what and in words."""
        lines = []
        for text in self.log_text().splitlines():
            line = json.loads(text)
            assert {"time", "level", "event", "message"} <= line.keys(), text
            lines.append(line)
        return lines

    def log_events(self, event, **fields):
        return [line for line in self.log_lines() if line["event"] == event and all(line.get(name) == value for name, value in fields.items())]

    def wait_for_log(self, event, seconds=30, **fields):
        wait_until(lambda: self.log_events(event, **fields), seconds)
        return self.log_events(event, **fields)[-1]
