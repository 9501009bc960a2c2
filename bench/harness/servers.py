"""The servers that are measured against: real ones of tests/servers, and the one whose objects are computed."""

import json
import subprocess
import urllib.request

from .measure import Failed


class Server:
    """MinIO or PostgreSQL, with `facts` as tests/servers/server tells them."""

    def __init__(self, top, kind, data=None, environment=None):
        self.process = subprocess.Popen([top / "tests/servers/server", kind, *(["--data", data] if data else [])], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env=environment)
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"{kind} did not start")
        self.facts = json.loads(line)

    def keys(self):
        return {"AWS_ACCESS_KEY_ID": self.facts["access_key"], "AWS_SECRET_ACCESS_KEY": self.facts["secret_key"], "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1"}

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Loopback:
    """heimdall-loopback: generated objects, and the references to them."""

    KEYS = {"AWS_ACCESS_KEY_ID": "loopback", "AWS_SECRET_ACCESS_KEY": "not-looked-at", "AWS_REGION": "us-east-1", "NO_PROXY": "127.0.0.1"}

    def __init__(self, binary, shape, count, *options, cpu=None, orphan_every=10, dangling=0):
        self.binary = binary
        self.space = ["--shape", shape, "--count", str(count)]
        self.referred = [*self.space, "--orphan-every", str(orphan_every), "--dangling", str(dangling)]
        bound = ["taskset", "-c", str(cpu)] if cpu is not None else []
        self.process = subprocess.Popen([*bound, binary, "serve", *self.space, *map(str, options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise Failed("heimdall-loopback did not start")
        self.facts = json.loads(line)
        self.endpoint = self.facts["endpoint"]

    def references(self):
        """The command that writes the keys of the database."""
        return [self.binary, "references", *self.referred]

    def expected(self):
        return json.loads(subprocess.check_output([self.binary, "expected", *self.referred]))

    def streams(self, keys_per_stream=1000):
        return [self.binary, "streams", *self.space, "--keys-per-stream", str(keys_per_stream)]

    def stats(self):
        return json.load(urllib.request.urlopen(self.endpoint + "/-/stats"))

    def reset(self):
        urllib.request.urlopen(urllib.request.Request(self.endpoint + "/-/reset", method="POST")).read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    __enter__, __exit__ = Server.__enter__, Server.__exit__
