"""doctor on real servers: it finds what is wrong with each of them, and says the fix (exit 12)."""

import pytest

from servers import *
from world import *


def said(world, status, *words):
    """The checks of that status, of which one has all the words in it. The text says the same."""
    result = world.run("doctor")
    lines = [line for line in result.of("check") if line["status"] == status]
    assert any(all(word.lower() in (line["name"] + " " + line["message"] + " " + line.get("fix", "")).lower() for word in words)
               for line in lines), f"no {status} check with {words}: {result.story}"
    if status == "failed":
        result.expect(DOCTOR)
        assert all(line["message"] and line["fix"] for line in lines), result.story
        assert b"fix: " in world.run("doctor", as_json=False).expect(DOCTOR).out
    return lines


@pytest.fixture
def well(full_world):
    full_world.live("1", "2", "3")
    return full_world


def test_a_healthy_world_is_well(well):
    result = well.run("doctor").expect(OK)
    assert not [line for line in result.of("check") if line["status"] == "failed"]
    names = {line["name"].split(".")[0] for line in result.of("check")}
    assert {"configuration", "state", "clock", "store", "delete", "references", "mapping"} <= names
    assert b"100.0 % of 3" in well.run("doctor", as_json=False).out


def test_doctor_changes_nothing_and_its_probe_leaves_nothing(well):
    before = well.keys()
    well.run("doctor").expect(OK)
    well.run("doctor", "--probe").expect(OK)
    assert well.keys() == before
    assert not well.run("runs").of("run")


# The store

def test_a_wrong_secret(well):
    well.env = {**well.env, "TEST_SECRET_KEY": "wrong"}
    said(well, "failed", "store", "secret")


def test_an_unknown_access_key(well):
    well.env = {**well.env, "TEST_ACCESS_KEY": "nobody"}
    said(well, "failed", "store", "access key")


def test_variables_that_are_not_set(well):
    well.env = {}
    said(well, "failed", "store", "TEST_ACCESS_KEY")


def test_a_bucket_that_does_not_exist(well):
    well.bucket["name"] = "no-such-bucket"
    said(well, "failed", "no-such-bucket")


def test_endpoints_that_are_no_s3_server(minio, postgresql):
    """Side by side, because each is tried for a while."""
    endpoints = {"nobody-listens": "http://127.0.0.1:9", "a-database": f"http://127.0.0.1:{postgresql.port}",
                 "no-https": minio.endpoint.replace("http:", "https:")}
    worlds = []
    try:
        for name, endpoint in endpoints.items():
            worlds.append(S3World(minio, name))
            worlds[-1].live("1")
            worlds[-1].store["endpoint"] = endpoint
        for process in [world.start("doctor") for world in worlds]:
            failed = [line for line in process.result().expect(DOCTOR).of("check") if line["status"] == "failed"]
            assert any(line["name"].startswith("store") and "127.0.0.1" in line["message"] and line["fix"] for line in failed), failed
    finally:
        for world in worlds:
            world.close()


def test_no_permission_to_list(well, minio):
    well.as_somebody(minio.session(allow("s3:GetObject")))
    said(well, "failed", "ListBucket")


LOOKS_AT_NOTHING = ("s3:ListBucket", "s3:DeleteObject", "s3:PutObject", "s3:ListAllMyBuckets", "s3:GetBucketVersioning",
                    "s3:GetBucketObjectLockConfiguration", "s3:GetLifecycleConfiguration")


@pytest.mark.parametrize("probe", [[], ["--probe"]])
def test_no_permission_to_look_at_an_object(well, minio, probe):
    """Each delete is preceded by a HEAD: without it nothing could be deleted."""
    well.put("orphan")
    well.as_somebody(minio.session(allow(*LOOKS_AT_NOTHING)))
    result = well.run("doctor", *probe).expect(DOCTOR)
    failed = [line for line in result.of("check") if line["status"] == "failed"]
    assert [line["name"] for line in failed] == ["objects.media"], failed
    assert "s3:GetObject" in failed[0]["fix"] and "deleted" in failed[0]["message"], failed
    well.plan().expect(OK)
    well.apply().expect(PARTIAL)
    assert well.has("orphan")


def test_no_permission_to_look_under_one_prefix(well, minio):
    well.bucket["prefixes"] = ["a/", "b/"]
    well.live("a/1", "a/2", "b/1")
    allowed = allow("s3:GetObject", resource="media/a/*")
    well.as_somebody(minio.session(allow(*LOOKS_AT_NOTHING), allowed))
    failed = [line for line in well.run("doctor").expect(DOCTOR).of("check") if line["status"] == "failed"]
    assert [line["name"] for line in failed] == ["objects.media"] and "'b/1'" in failed[0]["message"], failed


def test_no_permission_to_look_shows_in_an_empty_bucket_too(s3_world, minio):
    s3_world.rows("1")
    s3_world.as_somebody(minio.session(allow(*LOOKS_AT_NOTHING)))
    assert [line["status"] for line in s3_world.run("doctor").of("check") if line["name"] == "objects.media"] == ["failed"]


def test_no_permission_to_look_at_an_object_is_a_warning_where_nothing_is_deleted(well, minio):
    well.bucket["mode"] = "report"
    well.as_somebody(minio.session(allow(*LOOKS_AT_NOTHING)))
    lines = [line for line in well.run("doctor").expect(OK).of("check") if line["name"] == "objects.media"]
    assert [line["status"] for line in lines] == ["warning"], lines
    assert "s3:GetObject" in lines[0]["fix"] and "explain" in lines[0]["message"], lines


def test_keys_for_deleting_need_not_look(well, minio):
    """The sweep looks with the keys for planning."""
    well.put("orphan")
    deleting = minio.session(allow("s3:DeleteObject", "s3:PutObject"))
    well.as_somebody({})
    well.env = {**minio.keys_of(), "TEST_DELETE_KEY": deleting["AWS_ACCESS_KEY_ID"], "TEST_DELETE_SECRET": deleting["AWS_SECRET_ACCESS_KEY"]}
    well.store.update(access_key_env="TEST_ACCESS_KEY", secret_key_env="TEST_SECRET_KEY")
    result = well.run("doctor").expect(OK)
    assert not [line for line in result.of("check") if line["name"] == "objects.media"], result.story


def test_no_permission_to_delete(well, minio):
    well.as_somebody(minio.session(allow("s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:GetBucketLocation", "s3:GetBucketVersioning")))
    well.run("doctor", "--probe").expect(DOCTOR)
    lines = [line for line in well.run("doctor", "--probe").of("check") if line["status"] == "failed"]
    assert any(line["name"].startswith("delete") and "DeleteObject" in line["message"] + line["fix"] for line in lines), lines


def test_no_permission_to_delete_means_nothing_in_a_bucket_that_only_reports(well, minio):
    well.bucket["mode"] = "report"
    well.as_somebody(minio.session(allow("s3:ListBucket", "s3:GetObject", "s3:GetBucketLocation", "s3:GetBucketVersioning")))
    well.run("doctor").expect(OK)


def test_versioning_is_told(well):
    well.s3.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
    lines = well.run("doctor").expect(OK).of("check")
    assert any("version" in line["message"].lower() and "marker" in (line["message"] + line.get("fix", "")).lower() for line in lines), lines


@pytest.mark.parametrize("seconds", [400, -400])
def test_a_server_whose_clock_is_off(proxied, seconds):
    proxied.live("1", "2")
    proxied.proxy.date_offset = seconds
    said(proxied, "failed", "clock")


def test_our_clock_is_off(well, faketime):
    result = well.run("doctor", wrapper=faketime("+2h"))
    failed = [line for line in result.of("check") if line["status"] == "failed"]
    assert any("clock" in line["name"] + line["message"] for line in failed), result.story
    assert result.code == DOCTOR


# The database

def test_a_database_that_is_not_there(well):
    well.config["databases"]["app"]["url"] = "postgresql://reader@127.0.0.1:9/app"
    said(well, "failed", "references.media.1", "127.0.0.1")


def test_a_table_that_may_not_be_read(well):
    well.sql("REVOKE SELECT ON files FROM reader")
    said(well, "failed", "references.media.1", "GRANT SELECT")


def test_an_empty_table(well):
    well.sql("TRUNCATE files")
    said(well, "failed", "no_references", "0 rows")


def test_a_mapping_that_matches_nothing(well):
    well.sql("UPDATE files SET ref = 'media/' || ref")
    said(well, "failed", "mapping")


def test_a_query_with_a_limit(well):
    well.reference["query"] = "SELECT ref FROM files LIMIT 2"
    said(well, "failed", "LIMIT")


def test_a_query_that_is_wrong(well):
    well.reference["query"] = "SELECT nothing FROM files"
    said(well, "failed", "references.media.1", "nothing")
