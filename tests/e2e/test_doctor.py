"""doctor tries everything and says the fix: exit 12 on a failure."""

import os

import pytest

from world import *


def unhealthy(world, check, **options):
    """The failed checks, of which one begins with `check`; each has a fix. The text says the same."""
    said = world.run("doctor", **options).expect(DOCTOR)
    failed = [line for line in said.of("check") if line["status"] == "failed"]
    assert all(line["message"] and line["fix"] for line in failed), said.story
    assert any(line["name"].startswith(check) for line in failed), said.story
    assert said.last["type"] == "error"
    text = world.run("doctor", as_json=False, **options).expect(DOCTOR)
    assert b"FAIL " + check.encode() in text.out and b"fix: " in text.out
    return failed


@pytest.fixture
def well(world):
    world.live("1", "2", "3")
    return world


def test_a_healthy_world_is_well(well):
    said = well.run("doctor").expect(OK)
    assert {line["status"] for line in said.of("check")} <= {"ok", "warning"}
    names = {line["name"].split(".")[0] for line in said.of("check")}
    assert {"configuration", "state", "clock", "store", "delete", "references", "mapping"} <= names
    assert b"100.0 % of 3" in well.run("doctor", as_json=False).out


def test_doctor_changes_nothing_and_its_probe_leaves_nothing(well):
    before = {path: os.stat(path).st_mtime_ns for path in well.media.rglob("*")}
    well.run("doctor").expect(OK)
    well.run("doctor", "--probe").expect(OK)
    assert {path: os.stat(path).st_mtime_ns for path in well.media.rglob("*")} == before
    assert not well.run("runs").of("run")


def test_a_wrong_path_of_the_store(well):
    well.config["stores"]["disk"]["path"] = "./nowhere"
    unhealthy(well, "store.disk")


def test_a_missing_database(well):
    well.database.unlink()
    unhealthy(well, "references.media.1")
    assert not well.database.exists()


def test_a_missing_column(well):
    well.reference["query"] = "SELECT nothing FROM files"
    assert any("nothing" in line["message"] for line in unhealthy(well, "references.media.1"))


def test_a_query_with_a_limit(well):
    well.reference["query"] = "SELECT ref FROM files LIMIT 1000"
    unhealthy(well, "guard.media.partial_query")


def test_an_empty_table(well):
    well.sql("DELETE FROM files")
    unhealthy(well, "guard.media.no_references")


def test_a_mapping_that_matches_nothing(well):
    well.sql("UPDATE files SET ref = 'uploads/' || ref")
    failed = unhealthy(well, "guard.media.match_rate")
    assert any("0 of 3" in line["message"] for line in failed)


def test_references_that_cannot_be_mapped(well):
    well.rows("gopher://x")
    said = well.run("doctor").expect(DOCTOR)
    assert any(line["name"] == "mapping.media" and line["status"] == "warning" and line["fix"] for line in said.of("check"))


def test_no_permission_to_delete(well):
    user = well.unprivileged()
    well.media.chmod(0o555)
    unhealthy(well, "delete.media", **user)


def test_a_database_that_may_not_be_read(well):
    user = well.unprivileged()
    well.database.chmod(0)
    unhealthy(well, "references.media.1", **user)


def test_a_folder_that_may_not_be_read(well):
    well.live("a/1", "b/1", "c/1", "d/1")
    user = well.unprivileged()
    (well.media / "c").chmod(0)
    unhealthy(well, "listing.media", **user)


def test_a_state_directory_that_may_not_be_written(well):
    well.scan().expect(OK)
    user = well.unprivileged()
    well.state.chmod(0o555)
    unhealthy(well, "state", **user)


def test_a_stepped_clock(well, faketime):
    well.scan().expect(OK)
    unhealthy(well, "clock", wrapper=faketime("+2h"))


def test_one_bucket_can_be_asked_about(well):
    well.add_bucket("broken")
    well.run("doctor").expect(DOCTOR)
    well.run("doctor", "--bucket", "media").expect(OK)
