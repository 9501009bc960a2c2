"""examples/heimdall: the whole set-up of the platform that this product comes from, on a real MinIO and PostgreSQL."""

import json
import os
import re
import subprocess

import pytest

from servers import *
from world import *

EXAMPLE = TOP / "examples" / "heimdall"
EXPECTED = json.loads((EXAMPLE / "expected.json").read_text())


@pytest.fixture(scope="module")
def example(minio, postgresql):
    """The example in a world: its configuration with our ports, its objects and rows."""
    world = World()
    env = {"MINIO_ACCESS_KEY": minio.facts["access_key"], "MINIO_SECRET_KEY": minio.facts["secret_key"],
           "S3_ENDPOINT": minio.endpoint, "HEIMDALL_DB_PASSWORD": "not-a-secret"}
    subprocess.run([EXAMPLE / "fill.py", "make"], env={**os.environ, **env}, check=True)
    postgresql.execute("postgres", "CREATE DATABASE heimdall")
    postgresql.execute("heimdall", *[(EXAMPLE / name).read_text() for name in ("schema.sql", "rows.sql")])
    text = (TOP / "examples" / "heimdall.yaml").read_text()
    text = text.replace("http://127.0.0.1:9000", minio.endpoint).replace("heimdall@127.0.0.1/", f"heimdall@127.0.0.1:{postgresql.port}/")
    world.config = None
    world.config_file.write_text(text)
    world.state.mkdir()
    world.environment = lambda more=None: {**World.environment(world, more), **env}
    world.postgresql, world.minio = postgresql, minio
    yield world
    world.close()
    for bucket in EXPECTED:
        with with_headers(x_minio_force_delete="true"):
            minio.s3.delete_bucket(Bucket=bucket)
    postgresql.drop_database("heimdall")
    postgresql.execute("postgres", "DROP ROLE heimdall")


def keys(bucket, **facts):
    return {entry["key"].encode() for entry in EXPECTED[bucket] if all(entry[name] == value for name, value in facts.items())}


def test_1_doctor_finds_it_well(example):
    assert not [line for line in example.run("doctor").expect(OK).of("check") if line["status"] == "failed"]


def test_2_the_figures_are_those_of_the_list(example):
    scan = example.run("scan").expect(OK)
    for bucket in EXPECTED:
        figures = scan.figures(bucket)
        count = {verdict: len(keys(bucket, verdict=verdict)) for verdict in ("referenced", "protected", "young", "in_grace")}
        assert figures["referenced_objects"] == count["referenced"], bucket
        assert figures["protected_objects"] == count["protected"], bucket
        assert figures["young_objects"] == count["young"], bucket
        assert figures["in_grace_objects"] == count["in_grace"], bucket
        assert figures["due_objects"] == 0, bucket
        assert figures["total_objects"] == len(EXPECTED[bucket]) - len(keys(bucket, verdict="outside"))
    assert scan.figures("heimdall-raw-iq")["dangling_references"] == 2
    assert scan.figures("heimdall-synthetic-iq")["dangling_references"] == 1
    assert scan.figures("heimdall-audio-chunks")["dangling_references"] == 2


@pytest.mark.parametrize("bucket", EXPECTED)
def test_3_every_key_is_explained_as_the_list_has_it(example, bucket):
    wanted = [entry for entry in EXPECTED[bucket] if entry["verdict"] != "outside"]
    said = example.run("explain", *[f"s3://{bucket}/{entry['key']}" for entry in wanted]).expect(OK).of("explanation")
    assert [(entry["key"], entry["verdict"]) for entry in wanted] == [(line["key"], line["verdict"]) for line in said]


def test_4_the_plan_has_what_is_in_grace(example):
    example.plan("--ignore-grace").expect(OK)
    lines = example.run("show", example.plan_file, "--keys", config=False).expect(OK).of("candidate")
    for bucket in EXPECTED:
        assert {key_of(line) for line in lines if line["bucket"] == bucket} == keys(bucket, verdict="in_grace")


def test_5_apply_makes_it_so(example):
    example.postgresql.execute("heimdall", "INSERT INTO heimdall.measurements (session, frequency_hz, iq_data_location) "
                               "VALUES ('0ff0', 433920000, 's3://heimdall-raw-iq/sessions/0ff0/websdr_1.npy')")
    example.minio.s3.put_object(Bucket="heimdall-raw-iq", Key="sessions/77aa/websdr_1.npy", Body=b"once more")
    outcomes = example.apply("--keys").expect(OK).outcomes()
    assert outcomes[b"sessions/0ff0/websdr_1.npy"] == outcomes[b"sessions/0ff0/websdr_1_metadata.json"] == "skipped_referenced"
    assert outcomes[b"sessions/77aa/websdr_1.npy"] == "skipped_changed"
    for bucket in EXPECTED:
        pages = example.minio.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        left = {entry["Key"].encode() for page in pages for entry in page.get("Contents", [])}
        assert left == keys(bucket, fate="kept"), bucket


def test_the_script_tells_it_to_people(tmp_path):
    environment = {**os.environ, "HEIMDALL_STORAGE": BINARY, "TMPDIR": str(tmp_path)}
    said = subprocess.run([EXAMPLE / "run"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120)
    assert said.returncode == 0, said.stdout
    assert re.search(r"Checked: 15 of \d+ objects are gone, .* none should not be so", said.stdout), said.stdout
    assert not [line for line in said.stdout.splitlines() if len(line) > 80 and max(map(len, line.split())) <= 40 and line[0] != "$"]
