"""Guards refuse, with numbers, and exit 4 (invariant 7). One world per guard in which nothing else refuses."""

import os
import time

import pytest

from world import *


def no_references(world):
    world.bucket["references"].append({"database": "app", "query": "SELECT ref FROM files WHERE ref = 'nobody'"})
    return 0, 1


def references_fell(world):
    world.live(*[f"more/{i}" for i in range(90)])
    world.scan().expect(OK)
    world.sql("DELETE FROM files WHERE ref LIKE 'more/1%' OR ref LIKE 'more/2%' OR ref LIKE 'more/3%'")
    return 0.33, 0.2


def match_rate(world):
    world.rows(*[f"gone/{i}" for i in range(30)])
    return 0.25, 0.5


def orphan_ratio(world):
    world.put(*[f"lost/{i}" for i in range(14)])
    return 0.6, 0.5


def unreferenced_class(world):
    world.bucket["guards"] = {"max_unreferenced_class": 5}
    world.put(*[f"logs/{i}.log" for i in range(5)])
    return 5, 5


def max_deletes(world):
    world.bucket["guards"] = {"max_deletes": 0}
    return 1, 0


def max_bytes(world):
    world.bucket["guards"] = {"max_bytes": "9B"}
    return 10, 9


def unmapped_references(world):
    world.rows("gopher://media/1", "s3://configured-nowhere/1")
    return 2, 0


def near_miss(world):
    world.bucket["guards"] = {"max_near_misses": 1}
    world.rows("n/ONE.jpg", "n/Two.jpg", "n/three.JPG")
    world.put("n/one.jpg", "n/two.jpg", "n/three.jpg")
    return 3, 1


def partial_query(world):
    world.reference["query"] = "SELECT ref FROM files LIMIT 1000"
    return 1, 0


def stale_list(world):
    world.bucket["references"].append({"list": "keys"})
    (world.root / "keys").write_bytes(b"1\n")
    os.utime(world.root / "keys", (time.time() - 2 * DAY,) * 2)
    return pytest.approx(2 * DAY, abs=60), DAY


def identity_changed(world):
    world.bucket["references"].append({"database": "app", "query": "SELECT ref FROM files WHERE ref < '5'"})
    world.scan().expect(OK)
    del world.bucket["references"][1]
    return 1, 0


GUARDS = [no_references, references_fell, match_rate, orphan_ratio, unreferenced_class, max_deletes, max_bytes,
          unmapped_references, near_miss, partial_query, stale_list, identity_changed]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_guard_refuses_with_its_numbers_and_can_be_overridden_by_its_name_only(world, guard):
    name = guard.__name__
    world.live(*[str(i) for i in range(10)])
    world.put("orphan")
    value, limit = guard(world)

    refused = world.plan().expect(REFUSED)
    assert not world.plan_file.exists()
    assert refused.guards() == [name] and refused.summary["status"] == "refused"
    line = refused.of("guard")[0]
    assert line["bucket"] == "media" and line["value"] == value and line["limit"] == limit and len(line["message"]) > 20
    scanned = world.scan()
    if name in ("max_deletes", "max_bytes"):
        assert scanned.code in (OK, REFUSED)
    else:
        assert scanned.expect(REFUSED).guards() == [name]
    text = world.plan(as_json=False).expect(REFUSED)
    assert b"refused" in text.out and f"--accept {name}".encode() in text.out
    assert world.run("apply", "--yes").expect(REFUSED).guards() == [name] and world.has("orphan")
    other = "orphan_ratio" if name != "orphan_ratio" else "match_rate"
    assert world.plan("--accept", other).expect(REFUSED).guards() == [name]

    accepted = world.plan("--accept", name).expect(OK)
    assert {line["name"] for line in accepted.of("guard") if line["accepted"]} == {name}
    assert world.run("show", world.plan_file).of("plan")[0]["accepted"] == [name]
    planned = world.candidates()
    assert b"orphan" in planned
    world.apply().expect(OK)
    assert not planned & world.keys()
    assert {b"0", b"9"} <= world.keys()


def test_the_refused_run_is_remembered_as_refused(world):
    world.live("1")
    world.put("a", "b")
    world.plan().expect(REFUSED)
    assert world.last_run()["status"] == "refused"


def test_two_guards_refuse_together_and_one_accepted_name_is_not_enough(world):
    world.live("1", "2")
    world.put("a", "b", "c")
    world.rows("gopher://x")
    assert world.plan().expect(REFUSED).guards() == ["orphan_ratio", "unmapped_references"]
    assert world.plan("--accept", "orphan_ratio").expect(REFUSED).guards() == ["unmapped_references"]
    world.plan("--accept", "orphan_ratio", "--accept", "unmapped_references").expect(OK)


def test_there_is_no_way_to_accept_everything(world):
    world.live("1")
    for name in ("all", "*", "", "orphan-ratio"):
        refused = world.plan("--accept", name).expect(USAGE)
        assert "orphan_ratio" in str(refused.last), refused.story


def test_a_guard_that_refused_once_refuses_again(world):
    world.live(*[str(i) for i in range(100)])
    world.scan().expect(OK)
    world.sql("DELETE FROM files WHERE rowid > 60")
    for _ in range(3):
        assert world.scan().expect(REFUSED).guards() == ["references_fell"]
    world.scan("--accept", "references_fell").expect(OK)
    world.scan().expect(OK)


def test_a_refused_run_starts_no_grace_for_what_it_did_not_believe(world):
    world.bucket["grace"] = "1s"
    world.live(*[str(i) for i in range(100)])
    world.scan().expect(OK)
    world.sql("UPDATE files SET ref = ref WHERE 0", "CREATE TABLE kept AS SELECT * FROM files", "DELETE FROM files WHERE rowid > 60")
    world.scan().expect(REFUSED)
    time.sleep(1.1)
    figures = world.scan("--accept", "references_fell").expect(OK).figures()
    assert figures["due_objects"] == 0 and figures["in_grace_objects"] == 40


def test_references_may_fall_a_little(world):
    world.live(*[str(i) for i in range(100)])
    world.scan().expect(OK)
    world.sql("DELETE FROM files WHERE rowid > 80")
    world.scan().expect(OK)


def test_an_empty_table_is_believed_only_where_the_configuration_allows_it(world):
    world.put("a", "b")
    assert "no_references" in world.plan().expect(REFUSED).guards()
    world.reference["may_be_empty"] = True
    assert world.plan().expect(REFUSED).guards() == ["orphan_ratio"]
    world.plan("--accept", "orphan_ratio").expect(OK)


def test_near_misses_are_kept_whatever_is_accepted(world):
    world.live("1", "2", "3")
    world.rows("pic/A.jpg", "pic/e\u0301.jpg", "pic/b%2520c.jpg")
    kept = {"pic/a.jpg", "pic/\u00e9.jpg", "pic/b c.jpg"}
    world.put(*kept)
    world.put("orphan")
    figures = world.plan().expect(OK).figures()
    assert figures["near_misses"] == 3 and figures["protected_objects"] == 3
    assert world.candidates() == {b"orphan"}
    world.apply().expect(OK)
    assert {key.encode() for key in kept} <= world.keys()


def test_a_bucket_that_is_another_directory_than_before_refuses(world):
    world.live("1", "2")
    world.put("orphan")
    world.scan().expect(OK)
    (world.root / "media").rename(world.root / "before")
    (world.root / "media").mkdir()
    world.put("1", "2", "orphan")
    assert world.scan().expect(REFUSED).guards() == ["identity_changed"]


def test_another_database_file_behind_the_same_path_refuses(world):
    world.live("1", "2")
    world.put("orphan")
    world.scan().expect(OK)
    world.database.rename(world.root / "before.db")
    world.sql("CREATE TABLE files (ref TEXT)", "INSERT INTO files VALUES ('1'), ('2')")
    assert world.scan().expect(REFUSED).guards() == ["identity_changed"]


@pytest.mark.parametrize("indexed", [False, True])
def test_a_recheck_that_sees_none_of_what_the_plan_saw_is_not_believed(world, indexed):
    if indexed:
        world.sql("DROP TABLE files", "CREATE TABLE files (ref TEXT PRIMARY KEY)")
        world.reference["as"] = "key"
    world.live("1", "2", "3")
    world.put("orphan")
    world.plan().expect(OK)
    world.sql("UPDATE files SET ref = 'x' || ref")
    assert world.apply().expect(REFUSED).guards() == ["recheck_blind"]
    assert world.has("orphan") and world.last_run()["status"] == "refused"


@pytest.mark.parametrize("statement, guard", [("DELETE FROM files", "no_references"), ("DELETE FROM files WHERE rowid > 50", "references_fell")])
def test_apply_judges_the_references_again(world, statement, guard):
    world.live(*[str(i) for i in range(100)])
    world.put("orphan")
    world.plan().expect(OK)
    world.sql(statement)
    assert world.apply().expect(REFUSED).guards() == [guard]
    assert world.has("orphan")


def test_a_refusal_in_one_bucket_plans_nothing_in_the_other(world):
    world.add_bucket("second")
    world.live("1", "2")
    world.put("orphan", "../second/a")
    world.plan().expect(REFUSED)
    assert not world.plan_file.exists()
    assert world.run("apply", "--yes").expect(REFUSED).summary["total_deleted"] == 0
    assert world.has("orphan")
    world.plan("--bucket", "media").expect(OK)
