"""Real servers for tests, and worlds whose bucket or database is on one of them."""

import datetime
import itertools
import json
import os
import pathlib
import subprocess
import sys
import threading

import boto3
import botocore.config
import psycopg2

from world import DAY, World

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "servers"))

from misbehaving_proxy import MisbehavingProxy  # noqa: E402, F401

FAR = {"max_orphan_ratio": 1.0, "max_unreferenced_class": 1000000}  # guards that are not what a test is about


class Server:
    """What tests/servers/server runs: minio, versitygw or postgresql."""

    def __init__(self, kind, *options):
        self.process = subprocess.Popen([TOP / "tests" / "servers" / "server", kind, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.kind = kind
        self._read("run tools/test once: it installs the servers")

    def _read(self, advice=""):
        line = self.process.stdout.readline()
        assert line, f"the server {self.kind} ended; {advice}"
        self.facts = json.loads(line)

    def tell(self, word):
        """stop, kill, start, pause or resume; returns when it is done."""
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        self._read()

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class S3Server(Server):
    def __init__(self, kind):
        super().__init__(kind)
        self.endpoint = self.facts["endpoint"]
        self.objects = pathlib.Path(self.facts["data"]) / "objects"
        self.s3 = self.client("s3")
        self.s3.meta.events.register("before-sign.s3", _add_headers)

    def client(self, service):
        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=self.facts["access_key"],
                            aws_secret_access_key=self.facts["secret_key"],
                            config=botocore.config.Config(s3={"addressing_style": "path"}, proxies={}, max_pool_connections=32,
                                                          retries={"max_attempts": 8, "mode": "standard"}))

    def keys_of(self):
        return {"TEST_ACCESS_KEY": self.facts["access_key"], "TEST_SECRET_KEY": self.facts["secret_key"]}

    def session(self, *statements):
        """The environment of somebody who may do only this: temporary keys of MinIO."""
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        said = self.client("sts").assume_role(RoleArn="arn:aws:iam::000000000000:role/test", RoleSessionName="test", Policy=json.dumps(policy))
        keys = said["Credentials"]
        return {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
                "AWS_SESSION_TOKEN": keys["SessionToken"]}


def allow(*actions, resource="*"):
    return {"Effect": "Allow", "Action": list(actions), "Resource": [f"arn:aws:s3:::{resource}"]}


def deny(*actions, resource="*"):
    return {"Effect": "Deny", "Action": list(actions), "Resource": [f"arn:aws:s3:::{resource}"]}


_headers = threading.local()  # of with_headers; clients are shared by threads


def _add_headers(request, **_):
    for name, value in getattr(_headers, "now", {}).items():
        request.headers[name] = value
    del request.headers["Expect"]  # or the object after an empty one waits for half a minute


class with_headers:
    """Requests of boto3 in this thread carry these too."""

    def __init__(self, **headers):
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def __enter__(self):
        _headers.now = self.headers

    def __exit__(self, *_):
        _headers.now = {}


class S3World(World):
    """The bucket is on a server. Rows stand in SQLite, as in every world."""

    def __init__(self, server, name="media", endpoint=None):
        World.__init__(self)
        self.use_bucket(server, name, endpoint)

    def use_bucket(self, server, name, endpoint):
        self.server, self.name, self.s3 = server, name, server.s3
        self.s3.create_bucket(Bucket=name)
        self.config["stores"] = {"disk": {"type": "s3", "endpoint": endpoint or server.endpoint,
                                          "access_key_env": "TEST_ACCESS_KEY", "secret_key_env": "TEST_SECRET_KEY",
                                          "request_timeout": "3s"}}  # what is in doubt is looked up after this time
        self.bucket["name"] = name
        self.env = server.keys_of()
        self.more_buckets = []

    def close(self):
        for name in [self.name, *self.more_buckets]:
            self.remove_bucket(name)
        super().close()

    def remove_bucket(self, name):
        try:
            if self.server.kind == "minio":
                with with_headers(x_minio_force_delete="true"):
                    self.s3.delete_bucket(Bucket=name)
            else:
                for key in self.everything(name):
                    self.s3.delete_object(Bucket=name, Key=key.decode())
                self.s3.delete_bucket(Bucket=name)
        except self.s3.exceptions.NoSuchBucket:
            pass

    @property
    def store(self):
        return self.config["stores"]["disk"]

    def environment(self, env=None):
        kept = {name: value for name, value in super().environment().items()
                if not name.startswith("AWS_") and not name.lower().endswith("_proxy")}
        return {**kept, "HOME": str(self.root), **self.env, **(env or {})}

    def as_somebody(self, env):
        """Signs with the keys of S3Server.session() from now on."""
        self.store.pop("access_key_env", None)
        self.store.pop("secret_key_env", None)
        self.env = env

    # Objects

    def put(self, *keys, age=90 * DAY, data=b"x" * 10, bucket=None):
        date = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
        for key in keys:
            if self.server.kind == "minio":
                with with_headers(X_Minio_Source_Mtime=date.strftime("%Y-%m-%dT%H:%M:%SZ"),
                                  X_Minio_Source_Replication_Request="true", X_Amz_Bucket_Replication_Status="REPLICA"):
                    self.s3.put_object(Bucket=bucket or self.name, Key=key, Body=data)
            else:
                self.s3.put_object(Bucket=bucket or self.name, Key=key, Body=data)
                os.utime(self.path(key), (date.timestamp(), date.timestamp()))

    def rewrite(self, key, data=b"written once more"):
        self.s3.put_object(Bucket=self.name, Key=key, Body=data)

    def clone(self, *keys, age=90 * DAY):
        """Many small objects at once: MinIO keeps one as a folder with a file of metadata, so one's file makes all of them."""
        keys = [os.fsencode(key) for key in keys]
        self.put(keys[0].decode(), age=age)
        root = os.fsencode(self.server.objects / self.name)
        with open(os.path.join(root, keys[0], b"xl.meta"), "rb") as file:
            metadata = file.read()
        for key in keys[1:]:
            folder = os.path.join(root, key)
            os.makedirs(folder)
            with open(os.path.join(folder, b"xl.meta"), "wb") as file:
                file.write(metadata)

    def path(self, key):
        return os.path.join(os.fsencode(self.server.objects / self.name), os.fsencode(key))

    def keys(self, bucket=None):
        """What the server has on its disk, without what is ours: no list of its own is believed."""
        return {key for key in self.everything(bucket) if not key.startswith(b".heimdall-storage/")}

    def everything(self, bucket=None):
        root = os.fsencode(self.server.objects / (bucket or self.name))
        found = set()
        for directory, _, names in os.walk(root):
            if self.server.kind != "minio":
                found |= {os.path.relpath(os.path.join(directory, name), root) for name in names}
            elif b"xl.meta" in names:
                key = os.path.relpath(directory, root)
                found.add(key[:-len(b"__XLDIR__")] + b"/" if key.endswith(b"__XLDIR__") else key)
        return found

    def has(self, key):
        return os.fsencode(key) in self.keys()

    def add_bucket(self, name, **options):
        self.s3.create_bucket(Bucket=name)
        self.more_buckets.append(name)
        self.sql(f'CREATE TABLE "{name}" (ref TEXT)')
        self.config["buckets"].append({
            "name": name, "store": "disk", "mode": "delete", "min_age": "30d", "grace": "0s",
            "references": [{"database": "app", "query": f'SELECT ref FROM "{name}"'}], **options})

    def explain(self, key, bucket=None):
        return super().explain(key, bucket or self.name)

    def check_every_key(self, before, run_id):
        """Journal and bucket tell the same of every key; returns what was deleted."""
        journal = self.journal(run_id)
        gone = {os.fsencode(key) for key in before} - self.keys()
        assert gone == {key for key, outcome in journal.items() if outcome in ("deleted", "already_gone")}
        assert "in_doubt" not in journal.values()
        return gone


class PostgresServer(Server):
    """Tests read as the user `reader`, who may do nothing else."""

    numbers = itertools.count(1)

    def __init__(self):
        super().__init__("postgresql")
        self.port = self.facts["port"]
        self.execute("postgres", "CREATE ROLE reader LOGIN")

    def connect(self, database, user="postgres"):
        return psycopg2.connect(host="127.0.0.1", port=self.port, user=user, dbname=database)

    def execute(self, database, *statements):
        db = self.connect(database)
        db.autocommit = True
        with db.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        db.close()

    def create_database(self, options=""):
        name = f"app_{next(self.numbers)}"
        self.execute("postgres", f"CREATE DATABASE {name} {options}")
        self.execute(name, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader")
        return name

    def drop_database(self, name):
        self.execute("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url(self, database, user="reader"):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"


class PostgresWorld(World):
    """Rows stand in PostgreSQL, in a database of this world; objects in a directory."""

    def __init__(self, postgresql, options=""):
        self.make_database(postgresql, options)
        World.__init__(self)
        self.use_database()

    def make_database(self, postgresql, options=""):
        self.postgresql = postgresql
        self.name_of_database = postgresql.create_database(options)

    def use_database(self):
        self.config["databases"] = {"app": {"type": "postgresql", "url": self.postgresql.url(self.name_of_database)}}

    def close(self):
        super().close()
        self.postgresql.drop_database(self.name_of_database)

    def environment(self, env=None):
        return {name: value for name, value in super().environment(env).items() if not name.startswith("PG")}

    def connect(self, database=None, user="postgres"):
        return self.postgresql.connect(database or self.name_of_database, user)

    def rows(self, *values):
        db = self.connect()
        with db, db.cursor() as cursor:
            cursor.execute("INSERT INTO files SELECT unnest(%s)", ([*values],))
        db.close()

    def sql(self, *statements):
        self.postgresql.execute(self.name_of_database, *statements)

    def value(self, query):
        db = self.connect()
        with db, db.cursor() as cursor:
            cursor.execute(query)
            value = cursor.fetchone()[0]
        db.close()
        return value


class FullWorld(S3World, PostgresWorld):
    """Objects in a bucket, rows in PostgreSQL."""

    def __init__(self, server, postgresql, name="media", endpoint=None):
        self.make_database(postgresql)
        World.__init__(self)
        self.use_database()
        self.use_bucket(server, name, endpoint)
