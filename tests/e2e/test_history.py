"""What is known of a bucket from day to day, and of runs afterwards."""

import sqlite3
import time

import pytest

from world import *


@pytest.fixture
def shop(world):
    world.live("a", "b", "c")
    world.put("orphan-1", "orphan-2", data=b"x" * 1000)
    return world


def history(world):
    return world.run("stats", "--history").expect(OK).of("history")


def test_a_bucket_without_a_scan_has_no_history_and_is_told_how_to_get_one(shop):
    assert history(shop) == []
    assert b"stats --bucket media" in shop.run("stats", "--history", as_json=False).expect(OK).out


def test_a_day_has_the_figures_of_its_scan_and_what_was_deleted(shop):
    shop.scan().expect(OK)
    shop.run("apply", "--yes").expect(OK)
    (day,) = history(shop)
    assert day["bucket"] == "media" and day["date"] == time.strftime("%Y-%m-%d", time.gmtime())
    assert (day["total_objects"], day["orphans_found"], day["orphan_bytes"]) == (5, 2, 2000)
    assert (day["orphans_deleted"], day["bytes_deleted"]) == (2, 2000)
    shop.scan().expect(OK)
    (day,) = history(shop)
    assert (day["total_objects"], day["orphans_found"], day["orphans_deleted"]) == (3, 0, 2)
    text = shop.run("stats", "--history", as_json=False).expect(OK).out.decode()
    assert day["date"] in text and "reclaimed" in text


def test_a_plan_that_is_carried_out_late_does_not_change_what_a_newer_scan_saw(shop):
    shop.plan().expect(OK)
    shop.put("new-1", "new-2")
    shop.run("scan", "--accept", "orphan_ratio").expect(OK)
    shop.run("apply", shop.plan_file).expect(OK)
    (day,) = history(shop)
    assert (day["total_objects"], day["orphans_deleted"]) == (7, 2)


def test_history_contacts_nothing(shop):
    shop.scan().expect(OK)
    shop.database.unlink()
    shop.media.rename(shop.root / "away")
    assert len(history(shop)) == 1


def test_the_times_of_a_sweep_can_be_read_again(shop):
    applied = shop.run("apply", "--yes").expect(OK).summary
    told = shop.run("runs", "show", applied["run_id"]).expect(OK).of("run")[0]
    assert told["buckets"] == applied["buckets"]
    assert "at a time" in shop.run("runs", "show", applied["run_id"], as_json=False).expect(OK).out.decode()


def test_what_started_a_run_is_told(shop):
    run_id = shop.scan().expect(OK).summary["run_id"]
    with sqlite3.connect(shop.state / "state.db") as db:
        db.execute("UPDATE runs SET \"trigger\" = 'schedule nightly'")
    db.close()
    assert " schedule " in shop.run("runs", as_json=False).expect(OK).out.decode()
    assert "started by schedule nightly" in shop.run("runs", "show", run_id, as_json=False).expect(OK).out.decode()
