"""A small world around the binary: a media directory, a database, a configuration, and checks that hold for every output."""

import base64
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

BINARY = os.environ.get("HEIMDALL_STORAGE_BINARY", "")
# In memory: the state directory makes everything durable, and a disk would take most of the time.
BASE = os.environ.get("HEIMDALL_STORAGE_TEST_DIR") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
DAY = 86400
NOBODY = 65534

OK, FAILURE, NOT_EMPTY, PARTIAL, REFUSED, STALE, NOT_APPROVED = 0, 1, 2, 3, 4, 5, 6
UNREACHABLE, PERMISSION, CONFIGURATION, LOCKED, DOCTOR, USAGE, INTERRUPTED = 7, 8, 10, 11, 12, 64, 130

SUMMARY_FIELDS = {
    "run_id", "command", "status", "dry_run", "started_at", "completed_at", "execution_time_seconds", "buckets",
    "total_orphans_found", "total_deleted", "total_failed", "total_space_recovered_gb",
}
BUCKET_FIELDS = {
    "total_objects", "total_bytes", "references", "referenced_objects", "protected_objects", "orphans_found", "orphan_bytes",
    "young_objects", "in_grace_objects", "due_objects", "due_bytes", "orphans_deleted", "bytes_deleted", "deletion_failures",
    "skipped_referenced", "skipped_changed", "dangling_references", "space_recovered_gb",
}


def key_of(line, name="key"):
    """The key of a JSON line as bytes, whichever way it travelled."""
    if name + "_base64" in line:
        key = base64.b64decode(line[name + "_base64"], validate=True)
        try:
            key.decode()
        except UnicodeDecodeError:
            return key
        raise AssertionError(f"a UTF-8 key travelled as base64: {key!r}")
    return line[name].encode()


class Result:
    """What one call of the binary said. Its form is checked here, so that no test has to."""

    def __init__(self, code, out, err, as_json, command):
        self.code, self.out, self.err = code, out, err
        self.lines = []
        where = f"{command}\nexit {code}\nstdout:\n{out.decode(errors='replace')}\nstderr:\n{err.decode(errors='replace')}"
        self.story = where
        assert b"\x1b" not in out and b"\x1b" not in err, "escape codes without a terminal: " + where
        if as_json:
            # Of bytes: in text, Unicode has further ends of lines.
            self.lines = [json.loads(line.decode("utf-8")) for line in out.splitlines()]
            assert self.lines and self.lines[0]["type"] == "version", "first line is not the version: " + where
            assert self.lines[-1]["type"] in ("summary", "error"), "last line is neither summary nor error: " + where
            if self.lines[-1]["type"] == "error":
                assert {"code", "message", "hint"} <= self.lines[-1].keys(), where
                assert code != 0, where
            for line in self.lines:
                self._check_figures(line, where)
        else:
            for line in out.decode(errors="replace").splitlines():
                long_words = [word for word in line.split() if len(word) > 40]
                assert len(line) <= 80 or long_words, f"a line of {len(line)} columns: {line!r}\n{where}"

    @staticmethod
    def _check_figures(line, where):
        if line["type"] not in ("summary", "run") or "run_id" not in line:
            return
        assert SUMMARY_FIELDS <= line.keys(), where
        for figures in line["buckets"].values():
            assert BUCKET_FIELDS <= figures.keys(), where
            assert figures["orphans_found"] == figures["young_objects"] + figures["in_grace_objects"] + figures["due_objects"], where
            assert figures["total_objects"] == (
                figures["referenced_objects"] + figures["protected_objects"] + figures["orphans_found"]), where
        assert line["total_deleted"] == sum(f["orphans_deleted"] for f in line["buckets"].values()), where

    def of(self, kind):
        return [line for line in self.lines if line["type"] == kind]

    @property
    def last(self):
        return self.lines[-1]

    @property
    def summary(self):
        assert self.last["type"] == "summary", self.story
        return self.last

    @property
    def error(self):
        errors = self.of("error")
        assert errors, self.story
        return errors[-1]

    def figures(self, bucket="media"):
        return self.summary["buckets"][bucket]

    def guards(self):
        return sorted(line["name"] for line in self.of("guard") if not line.get("accepted"))

    def outcomes(self):
        return {key_of(line): line["outcome"] for line in self.of("deletion")}

    def expect(self, code):
        assert self.code == code, f"expected exit {code}: {self.story}"
        return self


class Process:
    """A running binary; its output is read when it has ended."""

    def __init__(self, popen, as_json, command):
        self.popen, self.as_json, self.command = popen, as_json, command
        self.pid = popen.pid

    def signal(self, number):
        self.popen.send_signal(number)

    def stop(self):
        """Returns when the kernel has stopped the process."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T")

    def go_on(self):
        self.signal(signal.SIGCONT)

    def result(self, timeout=60):
        out, err = self.popen.communicate(timeout=timeout)
        return Result(self.popen.returncode, out, err, self.as_json and self.popen.returncode >= 0, self.command)


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)




class World:
    """One bucket `media` in mode delete, whose rows stand in `app.db`, table `files(ref)`. Ages are mtimes; there is no grace."""

    def __init__(self):
        assert BINARY and os.access(BINARY, os.X_OK), "set HEIMDALL_STORAGE_BINARY to the program"
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="hs-", dir=BASE))
        os.chmod(self.root, 0o755)
        self.media = self.root / "media"
        self.media.mkdir()
        self.database = self.root / "app.db"
        self.config_file = self.root / "heimdall.yaml"
        self.state = self.root / "state"
        self.plan_file = self.root / "p.plan"
        self.processes = []
        self.binary = BINARY
        self.sql("CREATE TABLE files (ref TEXT)")
        self.config = {
            "stores": {"disk": {"type": "directory", "path": "./media", "age": "mtime"}},
            "databases": {"app": {"type": "sqlite", "path": "./app.db"}},
            "buckets": [{
                "name": "media", "store": "disk", "mode": "delete", "min_age": "30d", "grace": "0s",
                "references": [{"database": "app", "query": "SELECT ref FROM files"}],
            }],
            "state": {"path": "./state"},
        }

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
        for directory, _, _ in os.walk(self.root):
            os.chmod(directory, 0o755)
        shutil.rmtree(self.root, ignore_errors=True)

    # The world

    @property
    def bucket(self):
        return self.config["buckets"][0]

    @property
    def reference(self):
        return self.bucket["references"][0]

    def path(self, key):
        return os.path.join(os.fsencode(self.media), os.fsencode(key))

    def put(self, *keys, age=90 * DAY, data=b"x" * 10):
        for key in keys:
            path = self.path(key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            when = time.time() - age
            os.utime(path, (when, when))

    def live(self, *keys, reference=None, age=90 * DAY):
        """Objects with a row each, which names them as the key itself unless `reference` says otherwise."""
        self.put(*keys, age=age)
        self.rows(*[reference if reference is not None else key for key in keys])

    def connect(self, database=None, **options):
        return sqlite3.connect(database or self.database, **options)

    def rows(self, *values):
        db = self.connect()
        with db:
            db.executemany("INSERT INTO files VALUES (?)", [(value,) for value in values])
        db.close()

    def sql(self, *statements):
        db = self.connect()
        with db:
            for statement in statements:
                db.execute(statement)
        db.close()

    def keys(self, media=None):
        """What is on the disk, as bytes, without what is ours."""
        root = os.fsencode(media or self.media)
        found = set()
        for directory, _, names in os.walk(root):
            for name in names:
                key = os.path.relpath(os.path.join(directory, name), root)
                if not key.startswith((b".heimdall-trash", b".heimdall-storage")):
                    found.add(key)
        return found

    def has(self, key):
        return os.path.lexists(self.path(key))

    def add_bucket(self, name, **options):
        """A second bucket with a store and a table of its own, both named as it."""
        media = self.root / name
        media.mkdir()
        self.sql(f'CREATE TABLE "{name}" (ref TEXT)')
        self.config["stores"][name] = {"type": "directory", "path": f"./{name}", "age": "mtime"}
        self.config["buckets"].append({
            "name": name, "store": name, "mode": "delete", "min_age": "30d", "grace": "0s",
            "references": [{"database": "app", "query": f'SELECT ref FROM "{name}"'}], **options})
        return media

    def unprivileged(self):
        """How to run the binary as somebody who is not root and owns this world. File modes mean nothing to root."""
        if os.getuid() != 0:
            return {}
        program = self.root / "heimdall-storage"
        shutil.copy(BINARY, program)
        for directory, names, files in os.walk(os.fsencode(self.root)):
            for name in [b".", *names, *files]:
                os.chown(os.path.join(directory, name), NOBODY, NOBODY, follow_symlinks=False)
        self.binary = str(program)
        return {"user": NOBODY}

    # The binary

    def write_config(self):
        # JSON is YAML.
        self.config_file.write_text(json.dumps(self.config, indent=1, ensure_ascii=False))

    def command(self, *args, as_json=True, config=True):
        if config and self.config is not None:
            self.write_config()
        parts = [self.binary, *args]
        if config:
            parts += ["--config", str(self.config_file)]
        if as_json:
            parts.append("--json")
        return [os.fsencode(part) for part in parts]

    def environment(self, env=None):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEIMDALL_STORAGE_") and name != "NO_COLOR"}
        return {**kept, "LC_ALL": "C.UTF-8", **(env or {})}

    def start(self, *args, as_json=True, config=True, env=None, user=None, wrapper=(), stdin=subprocess.DEVNULL, cwd=None):
        command = [os.fsencode(part) for part in wrapper] + self.command(*args, as_json=as_json, config=config)
        popen = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd or self.root,
                                 env=self.environment(env), user=user, group=user, extra_groups=[] if user else None)
        self.processes.append(popen)
        return Process(popen, as_json, b" ".join(command).decode(errors="replace"))

    def run(self, *args, input=None, timeout=60, **options):
        if input is None:
            return self.start(*args, **options).result(timeout)
        process = self.start(*args, stdin=subprocess.PIPE, **options)
        out, err = process.popen.communicate(input, timeout=timeout)
        return Result(process.popen.returncode, out, err, process.as_json, process.command)

    def scan(self, *args, **options):
        return self.run("scan", *args, **options)

    def plan(self, *args, **options):
        return self.run("plan", "-o", self.plan_file, *args, **options)

    def apply(self, *args, **options):
        return self.run("apply", self.plan_file, *args, **options)

    def candidates(self, plan=None):
        return {key_of(line) for line in self.run("show", plan or self.plan_file, "--keys", config=False).expect(OK).of("candidate")}

    def clean_up(self):
        """Plans and applies; returns what is left on the disk."""
        self.plan().expect(OK)
        self.apply().expect(OK)
        return self.keys()

    def explain(self, key, bucket="media"):
        lines = self.run("explain", b"s3://" + os.fsencode(bucket) + b"/" + os.fsencode(key)).expect(OK).of("explanation")
        assert len(lines) == 1
        return lines[0]

    def last_run(self):
        return self.run("runs").expect(OK).of("run")[0]

    def journal(self, run_id):
        return self.run("runs", "show", run_id).expect(OK).outcomes()


def two_buckets(world):
    """`media` and `more` with two referenced objects and an orphan each; the directory of `more`."""
    world.live("1", "2")
    world.put("orphan")
    more = world.add_bucket("more")
    for name in ("1", "2", "orphan"):
        (more / name).write_text("x")
        os.utime(more / name, (1e9, 1e9))
    world.sql("INSERT INTO more VALUES ('1')", "INSERT INTO more VALUES ('2')")
    return more
