"""A symbolic link inside of a directory store gives objects a second key. Where a row names that one, nothing of the bucket is judged (invariant 4)."""

import os

import pytest

from world import *


@pytest.fixture
def linked(world):
    """`current` leads to `v1`; the row names `v1/x` by the link."""
    world.live(*[f"live/{i}" for i in range(20)])
    world.put("v1/x", *[f"o/{i}" for i in range(3)])
    os.symlink("v1", world.path("current"))
    world.rows("current/x")
    return world


def test_what_a_row_reaches_through_a_link_is_not_deleted(linked):
    before = linked.keys()
    for command in (["scan"], ["plan", "-o", linked.plan_file], ["apply", "--yes"], ["stats"]):
        result = linked.run(*command).expect(FAILURE)
        for part in ("'current/x'", "'current'", "'v1/'"):
            assert part in result.error["message"], result.story
        assert 'protect: ["v1/**"]' in result.error["hint"], result.story
    assert linked.keys() == before and not linked.plan_file.exists()
    failed = [line for line in linked.run("doctor").expect(DOCTOR).of("check") if line["status"] == "failed"]
    assert any("'current'" in line["message"] and line["fix"] for line in failed), failed


def test_a_companion_that_lies_behind_a_link_is_not_deleted(world):
    """The rows' own objects all exist; only what lies beside them is reached through `meta`."""
    world.reference["companions"] = ["meta/{stem}.json"]
    world.live(*[f"data/{i}.npy" for i in range(20)])
    world.put(*[f"meta-v1/{i}.json" for i in range(20)])
    os.symlink("meta-v1", world.path("meta"))
    before = world.keys()
    failed = world.run("apply", "--yes").expect(FAILURE).error
    assert "companion 'meta/{stem}.json'" in failed["message"] and "'meta'" in failed["message"], failed
    assert world.keys() == before
    os.unlink(world.path("meta"))
    os.rename(world.path("meta-v1"), world.path("meta"))
    assert world.scan().expect(OK).figures()["referenced_objects"] == 40


def test_a_protected_target_or_a_removed_link_lets_the_rest_go(linked):
    linked.bucket["protect"] = ["v1/**"]
    assert linked.plan().expect(OK).figures()["due_objects"] == 3
    linked.apply().expect(OK)
    assert linked.has("v1/x") and not linked.has("o/0")
    del linked.bucket["protect"]
    linked.scan().expect(FAILURE)
    os.unlink(linked.path("current"))
    linked.scan().expect(OK)


def test_a_target_outside_of_the_prefixes_does_no_harm(linked):
    linked.bucket["prefixes"] = ["live/", "o/"]
    os.symlink("../v1", linked.path("o/current"))
    assert linked.scan().expect(OK).figures()["due_objects"] == 3
    os.symlink("../live/1", linked.path("o/latest"))
    linked.rows("o/latest")
    assert "'o/latest'" in linked.scan().expect(FAILURE).error["message"]


def test_links_out_of_the_tree_or_to_nowhere_do_no_harm(world):
    world.live("1", "2", "3")
    world.put("orphan")
    (world.root / "elsewhere").mkdir()
    os.symlink(world.root / "elsewhere", world.path("out"))
    os.symlink("nowhere", world.path("dangling"))
    assert world.scan().expect(OK).figures()["due_objects"] == 1


def test_a_link_that_no_row_uses_disturbs_nothing(world):
    world.live(*[f"live/{i}" for i in range(20)])
    world.put("v1/x")
    os.symlink("v1", world.path("current"))
    os.symlink(".", world.path("loop"))
    os.symlink("live/1", world.path("latest"))
    world.rows("currently/gone", "v2/current/x")
    figures = world.plan().expect(OK).figures()
    assert figures["total_objects"] == 21 and figures["dangling_references"] == 2
    assert all(line["status"] != "failed" for line in world.run("doctor").of("check"))
    world.apply().expect(OK)
    assert not world.has("v1/x") and os.path.islink(world.path("current"))


@pytest.mark.parametrize("row", ["loop/v1/x", "loop/loop/loop/v1/x", "second/x", "v1/up/v1/x"])
def test_a_row_through_a_chain_or_a_loop_is_met(world, row):
    world.live(*[f"live/{i}" for i in range(20)])
    world.put("v1/x")
    os.symlink(".", world.path("loop"))
    os.symlink("v1", world.path("first"))
    os.symlink("first", world.path("second"))
    os.symlink("..", world.path("v1/up"))
    world.scan().expect(OK)
    world.rows(row)
    assert f"'{row}'" in world.run("apply", "--yes").expect(FAILURE).error["message"]
    assert world.has("v1/x")


def test_rows_that_can_be_read_only_once_are_not_believed_beside_a_link(world):
    world.live(*[f"live/{i}" for i in range(20)])
    world.put("v1/x")
    os.symlink("v1", world.path("current"))
    world.bucket["references"] = [{"list": "-"}]
    all_exist = b"".join(b"live/%d\n" % i for i in range(20))
    world.scan(input=all_exist).expect(OK)
    assert "cannot be read a second time" in world.scan(input=all_exist + b"gone\n").expect(FAILURE).error["message"]
