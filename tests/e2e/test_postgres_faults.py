"""References from PostgreSQL (DESIGN.md section 4): what it does not say to the end is not known, and nothing is deleted then."""

import json
import os
import pathlib
import shutil
import subprocess
import time

import psycopg2
import pytest

from servers import *
from world import *


@pytest.fixture
def world(postgres_world):
    return postgres_world


@pytest.fixture
def well(world):
    world.live("1", "2", "3")
    world.put("orphan")
    return world


def refuses(world, *codes, words=()):
    """A plan ends with one of the codes, and says why; there is no plan then."""
    plan = world.plan()
    assert plan.code in codes, plan.story
    assert not world.plan_file.exists()
    for word in words:
        assert word in plan.story, plan.story
    return plan


def test_plan_and_apply(well):
    figures = well.plan().expect(OK).figures()
    assert figures["references"] == 3 and figures["due_objects"] == 1
    assert well.candidates() == {b"orphan"}
    assert well.apply("--keys").expect(OK).outcomes() == {b"orphan": "deleted"}
    assert well.keys() == {b"1", b"2", b"3"}


# What an error is not

def test_a_server_that_is_not_there(well):
    well.config["databases"]["app"]["url"] = "postgresql://reader@127.0.0.1:9/app"
    refuses(well, UNREACHABLE)


def test_a_database_that_does_not_exist(well):
    well.config["databases"]["app"]["url"] = well.postgresql.url("no_such_database")
    refuses(well, FAILURE, UNREACHABLE, PERMISSION, words=["no_such_database"])


def test_a_user_that_does_not_exist(well):
    well.config["databases"]["app"]["url"] = well.postgresql.url(well.name_of_database, "nobody_at_all")
    refuses(well, PERMISSION, words=["nobody_at_all"])


def test_a_table_that_may_not_be_read(well):
    well.sql("REVOKE SELECT ON files FROM reader")
    plan = refuses(well, PERMISSION)
    assert "GRANT" in plan.error["hint"] or "grant" in plan.error["hint"], plan.story


@pytest.mark.parametrize("query, word", [
    ("SELECT ref FROM no_such_table", "no_such_table"), ("SELECT no_such_column FROM files", "no_such_column"), ("SELEKT", "SELEKT")])
def test_a_query_that_is_wrong(well, query, word):
    well.reference["query"] = query
    refuses(well, FAILURE, words=[word])


def test_rows_that_are_hidden_are_an_error(well):
    """row_security=off: a policy that would hide rows refuses instead."""
    well.sql("ALTER TABLE files ENABLE ROW LEVEL SECURITY", "CREATE POLICY few ON files TO reader USING (ref = '1')")
    refuses(well, FAILURE, PERMISSION, words=["row"])


def test_an_error_after_many_rows(well):
    """The last row is a division by zero: the 200,000 before it count for nothing."""
    well.reference["query"] = "SELECT CASE WHEN n < 200000 THEN n::text ELSE (1 / (n - 200000))::text END FROM generate_series(1, 200000) AS n"
    refuses(well, FAILURE, words=["division by zero"])


def test_a_connection_that_is_ended_among_the_rows(well):
    well.reference["query"] = "SELECT ref FROM files UNION ALL SELECT pg_sleep(0.001)::text || n::text FROM generate_series(1, 100000) AS n"
    process = well.start("plan", "-o", well.plan_file)
    ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%generate_series%' AND pid <> pg_backend_pid()"
    wait_until(lambda: well.value(ended) > 0)
    end = time.monotonic() + 60
    while process.popen.poll() is None and time.monotonic() < end:
        well.value(ended)
        time.sleep(0.1)
    assert process.result().code in (FAILURE, UNREACHABLE)
    assert not well.plan_file.exists()


def test_a_time_out_of_the_server(well):
    well.sql("CREATE FUNCTION slow() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014', "
             "MESSAGE = 'canceling statement due to statement timeout'; END $$")
    well.reference["query"] = "SELECT ref FROM files UNION ALL SELECT slow()"
    refuses(well, FAILURE, UNREACHABLE, words=["timeout"])


@pytest.mark.parametrize("query", [
    "DELETE FROM files RETURNING ref", "INSERT INTO files VALUES ('x') RETURNING ref", "SELECT ref FROM files; DROP TABLE files",
    "SELECT nextval('numbers')::text", "TRUNCATE files"])
def test_a_query_that_would_change_something(well, query):
    well.sql("CREATE SEQUENCE numbers", "GRANT ALL ON ALL TABLES IN SCHEMA public TO reader", "GRANT ALL ON SEQUENCE numbers TO reader")
    well.reference["query"] = query
    refuses(well, FAILURE, CONFIGURATION, PERMISSION)
    assert well.value("SELECT count(*) FROM files") == 3


def test_an_empty_table_refuses(world):
    world.put("1", "2")
    assert "no_references" in refuses(world, REFUSED).guards()


@pytest.mark.parametrize("query", [
    "SELECT ref FROM files LIMIT 2", "SELECT ref FROM files OFFSET 1", "SELECT ref FROM files TABLESAMPLE SYSTEM (100)",
    "SELECT ref FROM few", "SELECT ref FROM files FETCH FIRST 2 ROWS ONLY",
    "SELECT ref FROM (SELECT ref FROM files ORDER BY ref LIMIT 3) AS three", "WITH c AS MATERIALIZED (SELECT ref FROM files LIMIT 3) SELECT * FROM c"])
def test_a_query_that_holds_a_part_only(well, query):
    well.sql("CREATE VIEW few AS SELECT ref FROM files LIMIT 3", "GRANT SELECT ON few TO reader")
    well.reference["query"] = query
    assert "partial_query" in refuses(well, REFUSED).guards()


def test_references_that_fell(world):
    world.live(*[f"{i:03}" for i in range(100)])
    world.put("orphan")
    world.plan().expect(OK)
    world.sql("DELETE FROM files WHERE ref > '050'")
    for _ in range(2):
        plan = world.plan()
        assert plan.code == REFUSED and "references_fell" in plan.guards()
    # The plan that was made before is judged again too.
    applied = world.apply()
    assert applied.code == REFUSED, applied.story
    assert len(world.keys()) == 101


def test_a_truncated_table_at_apply(well):
    well.plan().expect(OK)
    well.sql("TRUNCATE files")
    assert well.apply().code == REFUSED
    assert well.has("orphan")


def test_a_server_that_is_gone_at_apply(well):
    """apply asks again; it does not go by what the plan knows."""
    well.plan().expect(OK)
    well.sql("REVOKE SELECT ON files FROM reader")
    assert well.apply().code in (PERMISSION, PARTIAL, FAILURE)
    assert well.has("orphan")


# Another database

def test_another_database_of_the_same_content(well):
    well.plan().expect(OK)
    other = PostgresWorld(well.postgresql)
    try:
        other.rows("1", "2", "3")
        well.config["databases"]["app"]["url"] = well.postgresql.url(other.name_of_database)
        assert well.apply().code == STALE
        plan = well.plan("--accept", "no_references")
        assert plan.code == REFUSED and plan.guards() == ["identity_changed"], plan.story
        well.plan("--accept", "identity_changed").expect(OK)
    finally:
        other.close()


def test_another_table_behind_the_same_query(well):
    well.sql("CREATE TABLE copy AS SELECT * FROM files", "CREATE VIEW seen AS SELECT ref FROM files", "GRANT SELECT ON seen TO reader")
    well.reference["query"] = "SELECT ref FROM seen"
    well.plan().expect(OK)
    well.sql("CREATE OR REPLACE VIEW seen AS SELECT ref FROM copy")
    well.plan_file.unlink()
    assert refuses(well, REFUSED).guards() == ["identity_changed"]


# Writers that are not done (DESIGN.md section 4, "recheck")

def apply_beside(world, do):
    """Starts apply and does something once it waits for a writer; returns its answer."""
    process = world.start("apply", world.plan_file, "--keys")
    time.sleep(1.5)
    assert process.popen.poll() is None, "it did not wait: " + process.result().story
    assert world.has("orphan")
    do()
    return process.result().expect(OK)


@pytest.mark.parametrize("spelling", ["orphan", "/orphan", "s3://media/orphan", "https://media.example/orphan"])
def test_apply_waits_for_a_writer_that_was_under_way_and_sees_what_it_wrote(well, spelling):
    writer = well.connect()
    writer.cursor().execute("INSERT INTO files VALUES (%s)", (spelling,))
    well.plan().expect(OK)
    assert well.candidates() == {b"orphan"}
    assert apply_beside(well, writer.commit).outcomes() == {b"orphan": "skipped_referenced"}
    writer.close()
    assert well.has("orphan")


def test_a_writer_that_rolls_back_changes_nothing(well):
    writer = well.connect()
    writer.cursor().execute("INSERT INTO files VALUES ('orphan')")
    well.plan().expect(OK)
    assert apply_beside(well, writer.rollback).outcomes() == {b"orphan": "deleted"}
    writer.close()


def test_a_prepared_transaction_is_a_writer_too(well):
    writer = well.connect()
    writer.autocommit = True
    cursor = writer.cursor()
    for statement in ("BEGIN", "INSERT INTO files VALUES ('orphan')", "PREPARE TRANSACTION 'half'"):
        cursor.execute(statement)
    well.plan().expect(OK)
    assert apply_beside(well, lambda: cursor.execute("COMMIT PREPARED 'half'")).outcomes() == {b"orphan": "skipped_referenced"}
    writer.close()


def test_an_indexed_recheck_sees_what_was_named_again(world):
    world.sql("CREATE INDEX ON files (ref)")
    world.reference["as"] = "key"
    world.bucket["batch_size"] = 2
    world.live(*"12345")
    world.put(*"abcd")
    world.plan().expect(OK)
    world.rows("c")
    assert world.apply("--keys").expect(OK).outcomes() == {b"a": "deleted", b"b": "deleted", b"c": "skipped_referenced", b"d": "deleted"}


def test_a_recheck_that_sees_nothing_is_not_believed(world):
    """The controls that the snapshot saw must come back: here the rows have moved to another table meanwhile."""
    world.sql("CREATE INDEX ON files (ref)")
    world.reference["as"] = "key"
    world.live(*[f"live/{i:03}" for i in range(40)])
    world.put("orphan")
    world.plan().expect(OK)
    world.sql("CREATE TABLE hidden AS SELECT ref || '-old' AS ref FROM files", "UPDATE files SET ref = ref || '-old'")
    applied = world.apply()
    assert applied.code in (REFUSED, PARTIAL), applied.story
    assert world.has("orphan")


# Kinds of columns and rows

KEY = "dir/ü b+c%41.jpg"


@pytest.mark.parametrize("kind", ["text", "varchar(100)", "char(100)", "name", "json", "jsonb", "bytea"])
def test_a_column_of_any_kind_protects(world, kind):
    world.live("1", "2", "3", "4")
    world.put(KEY, "orphan")
    value = {"json": f"to_json('{KEY}'::text)", "jsonb": f"to_jsonb('{KEY}'::text)", "bytea": f"convert_to('{KEY}', 'UTF8')"}.get(kind, f"'{KEY}'")
    world.sql(f"CREATE TABLE typed (v {kind})", f"INSERT INTO typed VALUES ({value})", "INSERT INTO typed VALUES (NULL)")
    reference = {"database": "app", "query": "SELECT v FROM typed", "min_match_rate": 0.0}
    if kind.startswith("json"):
        reference["json"] = "values"
    world.bucket["references"].append(reference)
    plan = world.plan()
    # What is understood protects; what is not (padding, hexadecimal) refuses or protects as a near miss.
    assert plan.code in (OK, REFUSED), plan.story
    if plan.code == OK:
        assert world.candidates() == {b"orphan"}, plan.story
        world.apply().expect(OK)
        assert world.has(KEY)


@pytest.mark.parametrize("selector", ["values", "$.files[*].key"])
def test_references_in_json(world, selector):
    world.put("1.jpg", "2.jpg", "3.jpg")
    world.sql("CREATE TABLE documents (body jsonb)")
    world.sql("INSERT INTO documents VALUES ('" + json.dumps({"files": [{"key": "1.jpg"}, {"key": "s3://media/2.jpg"}, {"key": None}]}) + "'), (NULL), ('{}')")
    world.reference.update(query="SELECT body FROM documents", json=selector)
    world.plan().expect(OK)
    assert world.candidates() == {b"3.jpg"}
    world.apply().expect(OK)
    assert world.keys() == {b"1.jpg", b"2.jpg"}


def test_text_that_is_no_json_is_an_error(world):
    world.put("1.jpg")
    world.rows('{"key": "1.jpg"}', '{"key": ')
    world.reference["json"] = "values"
    refuses(world, FAILURE, REFUSED)


def test_table_and_column_with_names_that_need_quotes(world):
    world.sql('CREATE SCHEMA "My Schema"', 'GRANT USAGE ON SCHEMA "My Schema" TO reader', 'CREATE TABLE "My Schema"."Weird""Table" ("Col umn" text)',
              'INSERT INTO "My Schema"."Weird""Table" VALUES (\'1\')')
    world.put("1", "orphan")
    del world.reference["query"]
    world.reference.update(table='My Schema.Weird"Table', column="Col umn")
    world.plan().expect(OK)
    assert world.candidates() == {b"orphan"}


def test_bucket_and_key_in_two_columns(world):
    world.sql("CREATE TABLE located (store text, path text)", "INSERT INTO located VALUES ('media', '1'), ('elsewhere', '2'), (NULL, NULL)")
    world.put("1", "2")
    world.reference.update(query="SELECT store AS bucket, path AS key FROM located", ignore_buckets=["elsewhere"])
    world.plan("--accept", "match_rate").expect(OK)
    assert world.candidates() == {b"2"}


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding(postgresql, encoding):
    world = PostgresWorld(postgresql, f"TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        world.live("1", "2")
        world.put("zürich", "orphan")
        if encoding == "LATIN1":
            world.rows("zürich")
        else:
            world.sql("INSERT INTO files VALUES (E'z\\xc3\\xbcrich')")
        world.plan().expect(OK)
        assert world.candidates() == {b"orphan"}
    finally:
        world.close()


def test_a_million_references_stream_through(world):
    world.sql("INSERT INTO files SELECT 'k/' || n FROM generate_series(1, 1000000) AS n")
    world.put("k/1", "k/999999", "k/1000000", "k/1000001")
    world.reference["min_match_rate"] = 0.0
    figures = world.plan().expect(OK).figures()
    assert figures["references"] == 1000000 and figures["dangling_references"] == 999997
    assert world.candidates() == {b"k/1000001"}


# One sweep at a time, across hosts: a lock in the database (invariant 9)

def stopped_sweep(world, orphans=200):
    keys = [f"o/{i:04}" for i in range(orphans)]
    world.sql("CREATE INDEX ON files (ref)")
    world.reference["as"] = "key"
    world.bucket.update(batch_size=1, guards={**FAR})
    world.live("1", "2")
    world.put(*keys)
    world.plan().expect(OK)
    process = world.start("apply", world.plan_file)
    wait_until(lambda: not world.has(keys[0]) or process.popen.poll() is not None)
    process.stop()
    assert world.has(keys[-1]), "it was too fast to be stopped"
    return process, keys


def test_a_sweep_on_another_host_is_locked_out(world, tmp_path):
    process, keys = stopped_sweep(world)
    # Another host has another state directory.
    plan = tmp_path / "other.plan"
    world.run("plan", "-o", plan, "--state", tmp_path / "state").expect(OK)
    world.run("apply", plan, "--state", tmp_path / "state").expect(LOCKED)
    process.go_on()
    process.result().expect(OK)
    assert world.keys() == {b"1", b"2"}


def test_a_sweep_whose_lock_is_lost_stops(world):
    process, keys = stopped_sweep(world)
    before = len(world.keys())
    world.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'reader'")
    process.go_on()
    result = process.result()
    assert result.code in (PARTIAL, UNREACHABLE, FAILURE, LOCKED), result.story
    assert len(world.keys()) >= before - 1, "it went on without its lock"
    world.run("recover").expect(OK)
    assert world.has(keys[-1])
    world.plan().expect(OK)
    world.apply().expect(OK)
    assert world.keys() == {b"1", b"2"}


# Replicas

@pytest.fixture(scope="module")
def replica(postgresql, tmp_path_factory):
    """A standby of the server."""
    data = pathlib.Path(postgresql.facts["data"]).parent / f"heimdall-replica-{os.getpid()}"
    data.mkdir()
    os.chmod(data, 0o755)
    backup = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pg_basebackup"))[-1]
    subprocess.run([backup, "-h", "127.0.0.1", "-p", str(postgresql.port), "-U", "postgres", "-D", data / "cluster", "-R", "-c", "fast", "--no-sync"],
                   check=True, capture_output=True)
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", "postgres:", data], check=True)
    server = Server("postgresql", "--data", data)
    yield server
    server.close()
    shutil.rmtree(data, ignore_errors=True)


def on_replica(world, replica, **options):
    """Reads from the standby, once it has what the world wrote."""
    url = f"postgresql://reader@127.0.0.1:{replica.facts['port']}/{world.name_of_database}"
    world.config["databases"]["app"] = {"type": "postgresql", "url": url, **options}
    (written,), = answer_of(world.postgresql.port, "SELECT pg_current_wal_lsn()")
    until = time.monotonic() + 30
    while not answer_of(replica.facts["port"], f"SELECT pg_last_wal_replay_lsn() >= '{written}'")[0][0]:
        assert time.monotonic() < until, "the standby does not follow"
        time.sleep(0.05)


def answer_of(port, query):
    db = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres")
    db.autocommit = True
    with db.cursor() as cursor:
        cursor.execute(query)
        rows = cursor.fetchall()
    db.close()
    return rows


def replay(replica, what):
    answer_of(replica.facts["port"], f"SELECT pg_wal_replay_{what}()")


def test_a_replica_without_its_primary_refuses(well, replica):
    on_replica(well, replica)
    refuses(well, FAILURE, CONFIGURATION, REFUSED, words=["primary_url"])


def test_a_replica_serves_once_it_has_what_the_primary_had(well, replica):
    on_replica(well, replica, primary_url=well.postgresql.url(well.name_of_database))
    assert well.plan().expect(OK).figures()["references"] == 3
    well.rows("orphan")
    assert well.apply("--keys").expect(OK).outcomes() == {b"orphan": "skipped_referenced"}


def test_a_replica_that_lags_is_waited_for(well, replica):
    primary = well.postgresql.url(well.name_of_database)
    on_replica(well, replica, primary_url=primary)
    well.plan().expect(OK)
    well.plan_file.unlink()
    replay(replica, "pause")
    try:
        well.rows("orphan")
        process = well.start("plan", "-o", well.plan_file)
        time.sleep(1.5)
        assert process.popen.poll() is None, "it did not wait: " + process.result().story
    finally:
        replay(replica, "resume")
    process.result().expect(OK)
    assert well.candidates() == set()


def test_a_primary_that_is_none_refuses(well, replica):
    """Rechecks run on the primary, and it has to be one."""
    on_replica(well, replica)
    well.config["databases"]["app"]["primary_url"] = well.config["databases"]["app"]["url"]
    refuses(well, FAILURE, CONFIGURATION, REFUSED)
