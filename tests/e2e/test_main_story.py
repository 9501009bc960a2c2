"""Plan, show, apply, explain: what everybody does with the product, from outside (DESIGN.md sections 4 to 6)."""

import json
import time

import pytest

from world import *


def test_only_what_no_row_names_is_deleted(world):
    world.live("a/1.jpg", "a/2.jpg", "b.txt")
    world.put("a/3.jpg", "c.txt")
    plan = world.plan().expect(OK)
    figures = plan.figures()
    assert (figures["total_objects"], figures["referenced_objects"], figures["due_objects"]) == (5, 3, 2)
    assert figures["total_bytes"] == 50 and figures["due_bytes"] == 20
    assert world.candidates() == {b"a/3.jpg", b"c.txt"}
    assert len(world.keys()) == 5
    applied = world.apply("--keys").expect(OK)
    assert world.keys() == {b"a/1.jpg", b"a/2.jpg", b"b.txt"}
    assert applied.outcomes() == {b"a/3.jpg": "deleted", b"c.txt": "deleted"}
    assert applied.summary["status"] == "success" and applied.summary["total_deleted"] == 2
    assert applied.figures()["bytes_deleted"] == 20
    assert world.plan().expect(OK).figures()["due_objects"] == 0


# Every way in which a row may name the object "dir/a b+c%41.jpg"
KEY = "dir/a b+c%41.jpg"
ENCODED = "dir/a%20b%2Bc%2541.jpg"
SPELLINGS = {
    "plain": KEY,
    "leading slash": "/" + KEY,
    "s3 uri": "s3://media/" + KEY,
    "http path style": "http://127.0.0.1:9000/media/" + ENCODED,
    "https path style": "https://minio.example/media/" + ENCODED,
    "path style with a query": "https://minio.example/media/" + ENCODED + "?X-Amz-Signature=0a1b&x=/",
    "path style with a fragment": "https://minio.example/media/" + ENCODED + "#page=2",
    "virtual host": "https://media.s3.eu-west-1.amazonaws.com/" + ENCODED,
    "virtual host with a port": "http://media.localhost:9000/" + ENCODED,
    "percent-encoded key": ENCODED,
    "percent-encoded key, lower case": ENCODED.replace("%2B", "%2b"),
    "percent-encoded, leading slash": "/" + ENCODED,
    "base url": "https://cdn.example/files/" + ENCODED,
    "alias": "s3://old-media/" + KEY,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_row_protects_its_object_in_the_spelling(world, spelling):
    world.reference["base_urls"] = ["https://cdn.example/files/"]
    world.bucket["aliases"] = ["old-media"]
    world.put(KEY, "dir/orphan.jpg")
    world.live("x", "y")
    world.rows(SPELLINGS[spelling])
    assert world.explain(KEY)["verdict"] == "referenced"
    plan = world.plan().expect(OK)
    # Without a scheme the literal text is the primary meaning and counts in the figures; the decoded one only protects.
    assert plan.figures()["dangling_references"] == (1 if spelling.startswith("percent-encoded") else 0)
    assert world.candidates() == {b"dir/orphan.jpg"}
    # The row that names it again, in this spelling, is seen by the recheck too.
    world.sql("DELETE FROM files WHERE ref NOT IN ('x', 'y')")
    world.plan().expect(OK)
    assert world.candidates() == {b"dir/orphan.jpg", KEY.encode()}
    world.rows(SPELLINGS[spelling])
    assert world.apply("--keys").expect(OK).outcomes()[KEY.encode()] == "skipped_referenced"
    assert world.keys() == {b"x", b"y", KEY.encode()}


@pytest.mark.parametrize("kind, value", [
    ("key", KEY), ("uri", "s3://media/" + KEY), ("url", "http://127.0.0.1:9000/media/" + ENCODED), ("prefix", "dir"), ("prefix", "dir/")])
def test_a_row_protects_its_object_when_its_form_is_declared(world, kind, value):
    world.reference["as"] = kind
    world.put(KEY, "other")
    world.rows(value)
    world.plan("--accept", "match_rate").expect(OK)
    assert world.candidates() == {b"other"}
    world.apply().expect(OK)
    assert world.keys() == {KEY.encode()}


def test_an_indexed_column_is_asked_per_batch_and_keeps_what_is_named_again(world):
    world.sql("DROP TABLE files", "CREATE TABLE files (ref TEXT PRIMARY KEY)")
    world.reference["as"] = "key"
    world.bucket["batch_size"] = 2
    world.live("1", "2", "3", "4", "5")
    world.put("a", "b", "c", "d")
    world.plan().expect(OK)
    world.rows("c")
    assert world.apply("--keys").expect(OK).outcomes() == {
        b"a": "deleted", b"b": "deleted", b"c": "skipped_referenced", b"d": "deleted"}
    assert world.has("c")


def test_companions_live_as_long_as_what_they_belong_to(world):
    world.reference["companions"] = ["{dir}/{stem}_metadata.json", "{key}.sha256"]
    world.live("s/1.npy", "s/2.npy", "top.npy")
    world.put("s/1_metadata.json", "s/1.npy.sha256", "s/9.npy", "s/9_metadata.json", "top_metadata.json")
    figures = world.plan().expect(OK).figures()
    assert figures["references"] == 3 and figures["dangling_references"] == 0
    assert world.candidates() == {b"s/9.npy", b"s/9_metadata.json"}


def test_rows_may_name_bucket_and_key_in_two_columns(world):
    world.add_bucket("other")
    world.put("1.jpg", "2.jpg")
    world.put("../other/3.jpg", "../other/1.jpg")
    world.sql("CREATE TABLE located (store TEXT, path TEXT)",
              "INSERT INTO located VALUES ('media', '1.jpg'), ('other', '3.jpg')")
    for bucket in world.config["buckets"]:
        bucket["references"][0]["query"] = "SELECT store AS bucket, path AS key FROM located"
    world.plan().expect(OK)
    assert world.candidates() == {b"2.jpg", b"1.jpg"}
    world.apply().expect(OK)
    assert world.keys() == {b"1.jpg"} and world.keys(world.root / "other") == {b"3.jpg"}


@pytest.mark.parametrize("selector", ["values", "$.files[*].key"])
def test_references_may_stand_in_json(world, selector):
    world.reference["json"] = selector
    world.put("1.jpg", "2.jpg", "3.jpg")
    world.rows(json.dumps({"files": [{"key": "1.jpg"}, {"key": "s3://media/2.jpg"}]}))
    world.plan().expect(OK)
    assert world.candidates() == {b"3.jpg"}


def test_a_table_and_a_column_serve_as_well_as_a_query(world):
    del world.reference["query"]
    world.reference.update(table="files", column="ref")
    world.live("1", "2")
    world.put("3")
    assert world.clean_up() == {b"1", b"2"}


@pytest.mark.parametrize("end", [b"\n", b"\0"])
def test_a_list_of_keys_is_a_source_like_any_other(world, end):
    world.live("1", "2")
    world.put("3", "4\nfour" if end == b"\0" else "4", "5")
    (world.root / "keys").write_bytes(b"3" + end + world.path("4\nfour" if end == b"\0" else "4").rsplit(b"/", 1)[1] + end)
    world.bucket["references"].append({"list": "keys", "null": end == b"\0"})
    world.plan().expect(OK)
    assert world.candidates() == {b"5"}
    (world.root / "keys").write_bytes(b"3" + end + b"5" + end)
    world.apply().expect(OK)
    assert world.has("5"), "the list is read again at apply"


def test_a_list_on_standard_input_serves_scan_and_plan_only(world):
    world.bucket["references"] = [{"list": "-"}]
    world.put("1", "2")
    plan = world.plan(input=b"1\n").expect(OK)
    assert plan.figures()["due_objects"] == 1
    refused = world.apply(input=b"1\n")
    assert refused.code not in (OK, PARTIAL) and world.has("2")


def test_protected_and_young_objects_are_kept_and_counted(world):
    world.bucket["protect"] = ["keep/**"]
    world.live("1", "2")
    world.put("keep/a", "keep/b/c", "old")
    world.put("new", age=29 * DAY)
    figures = world.plan().expect(OK).figures()
    assert figures["protected_objects"] == 2 and figures["young_objects"] == 1 and figures["due_objects"] == 1
    assert world.clean_up() == {b"1", b"2", b"keep/a", b"keep/b/c", b"new"}


def test_an_object_newer_than_the_run_is_young_whatever_min_age_says(world):
    world.bucket.update(min_age="0s", allow_young=True)
    world.live("1", "2")
    world.put("future", age=-3600)
    assert world.plan().expect(OK).figures()["young_objects"] == 1
    world.apply().expect(OK)
    assert world.has("future")


def test_without_age_mtime_a_copied_file_is_young_however_old_its_mtime_is(world):
    del world.config["stores"]["disk"]["age"]
    world.live("1", "2")
    world.put("copied", age=900 * DAY)
    assert world.plan().expect(OK).figures()["young_objects"] == 1


def test_a_first_scan_records_when_an_orphan_was_seen_and_grace_is_counted_from_there(world):
    world.bucket["grace"] = "1s"
    world.live("1", "2")
    world.put("orphan")
    first = world.scan().expect(OK)
    assert first.figures()["in_grace_objects"] == 1 and first.figures()["due_objects"] == 0
    assert world.explain("orphan")["verdict"] == "in_grace"
    world.plan().expect(OK)
    assert world.candidates() == set()
    time.sleep(1.1)
    assert world.explain("orphan")["verdict"] == "due"
    assert world.plan().expect(OK).figures()["due_objects"] == 1
    assert world.candidates() == {b"orphan"}


def test_an_orphan_that_was_referenced_in_between_starts_its_grace_anew(world):
    world.bucket["grace"] = "1s"
    world.live("1", "2")
    world.put("sometimes")
    world.scan().expect(OK)
    world.rows("sometimes")
    world.scan().expect(OK)
    world.sql("DELETE FROM files WHERE ref = 'sometimes'")
    time.sleep(1.1)
    assert world.scan().expect(OK).figures()["in_grace_objects"] == 1


def test_grace_can_be_ignored_for_one_plan_which_text_and_plan_say(world):
    world.bucket["grace"] = "72h"
    world.live("1", "2")
    world.put("orphan")
    nothing = world.plan(as_json=False).expect(OK)
    assert b"1 in grace until" in nothing.out and b"--ignore-grace" in nothing.out
    world.plan("--ignore-grace").expect(OK)
    assert world.candidates() == {b"orphan"}
    assert world.run("show", world.plan_file).of("plan")[0]["ignore_grace"] is True
    world.apply().expect(OK)
    assert not world.has("orphan")


def test_a_bucket_in_mode_report_loses_nothing_under_any_command(world):
    del world.bucket["mode"]
    world.live("1", "2")
    world.put("orphan")
    world.plan().expect(OK)
    assert world.candidates() == {b"orphan"}
    refused = world.apply().expect(NOT_APPROVED)
    assert "mode" in refused.error["message"] and refused.error["hint"]
    world.run("apply", "--yes").expect(OK)
    world.run("apply", "--yes", "--ignore-grace", "--accept", "orphan_ratio").expect(OK)
    world.scan().expect(OK)
    assert world.has("orphan")


def test_limit_takes_the_oldest(world):
    world.live("1", "2", "3", "4", "5")
    for age in (50, 90, 70, 60):
        world.put(f"age{age}", age=age * DAY)
    world.plan("--limit", "2").expect(OK)
    assert world.candidates() == {b"age90", b"age70"}


def test_a_plan_that_is_not_empty_can_show_in_the_exit_code(world):
    world.live("1", "2")
    world.plan("--detailed-exitcode").expect(OK)
    world.put("orphan")
    world.plan("--detailed-exitcode").expect(NOT_EMPTY)
    assert world.candidates() == {b"orphan"}


def test_buckets_have_figures_of_their_own_and_can_be_chosen(world):
    media = world.add_bucket("second")
    world.live("1", "2")
    world.put("orphan", "../second/1", "../second/2", "../second/lost")
    world.sql("INSERT INTO second VALUES ('1'), ('2')")
    both = world.scan().expect(OK).summary
    assert set(both["buckets"]) == {"media", "second"} and both["total_orphans_found"] == 2
    only = world.plan("--bucket", "second").expect(OK).summary
    assert set(only["buckets"]) == {"second"}
    assert world.candidates() == {b"lost"}
    world.apply().expect(OK)
    assert world.has("orphan") and world.keys(media) == {b"1", b"2"}
    world.scan("--bucket", "media", "--bucket", "second").expect(OK)
    assert "second" in world.scan("--bucket", "secnod").expect(USAGE).error["hint"]


def test_a_plan_for_a_bucket_that_is_not_chosen_deletes_nothing(world):
    world.add_bucket("second", references=[{"database": "app", "query": "SELECT ref FROM second", "may_be_empty": True}])
    world.live("1", "2")
    world.put("orphan")
    world.plan().expect(OK)
    world.apply("--bucket", "second").expect(STALE)
    assert world.has("orphan")


def test_a_bucket_with_prefixes_is_left_alone_outside_of_them(world):
    world.bucket["prefixes"] = ["in/", "also/in/"]
    world.live("in/1", "in/2", "also/in/3")
    world.put("in/orphan", "out/orphan", "orphan", "inner/orphan", "also/inner")
    figures = world.plan().expect(OK).figures()
    assert figures["total_objects"] == 4
    assert world.candidates() == {b"in/orphan"}


def test_two_buckets_may_share_a_store_by_prefix_but_not_overlap(world):
    world.sql("CREATE TABLE more (ref TEXT)")
    world.bucket["prefixes"] = ["a/"]
    world.config["buckets"].append({**world.bucket, "name": "second", "prefixes": ["b/"],
                                    "references": [{"database": "app", "query": "SELECT ref FROM more"}]})
    world.live("a/1", "a/2")
    world.put("b/1", "b/2", "a/x", "b/x")
    world.sql("INSERT INTO more VALUES ('b/1'), ('b/2')")
    assert world.clean_up() == {b"a/1", b"a/2", b"b/1", b"b/2"}
    world.config["buckets"][1]["prefixes"] = ["a/b/"]
    world.scan().expect(CONFIGURATION)


def test_apply_without_a_plan_does_the_same_in_one_command(world):
    world.live("1", "2")
    world.put("orphan")
    dry = world.run("apply", "--dry-run").expect(OK)
    assert dry.summary["dry_run"] is True and dry.summary["total_deleted"] == 0 and dry.figures()["due_objects"] == 1
    assert world.has("orphan")
    done = world.run("apply", "--yes", "--keys").expect(OK)
    assert done.outcomes() == {b"orphan": "deleted"} and done.summary["total_deleted"] == 1
    assert world.keys() == {b"1", b"2"}
    assert not list(world.state.glob("tmp/*"))


def test_a_dry_run_of_a_plan_deletes_nothing_and_does_not_use_it_up(world):
    world.live("1", "2")
    world.put("orphan")
    world.plan().expect(OK)
    dry = world.apply("--dry-run").expect(OK)
    assert dry.summary["dry_run"] is True and dry.summary["run_id"] and dry.figures()["due_objects"] == 1 and dry.summary["total_deleted"] == 0
    assert dry.of("plan") and world.last_run()["dry_run"] is True
    assert world.has("orphan")
    world.apply().expect(OK)
    assert not world.has("orphan")


def test_scan_writes_references_without_an_object_into_a_file(world):
    world.live("1", "2", "3")
    world.rows("gone/1.jpg", "s3://media/gone%202", "two%20words")
    world.put("two words")
    file = world.root / "dangling.jsonl"
    # The figure counts primary meanings; a row is written only if no object exists that it may mean.
    assert world.scan("--dangling", file).expect(OK).figures()["dangling_references"] == 3
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert {line["key"] for line in lines} == {"gone/1.jpg", "gone%202"}
    assert {line["reference"] for line in lines} == {"gone/1.jpg", "s3://media/gone%202"}
    assert all(line["bucket"] == "media" and line["source"] for line in lines)


@pytest.mark.parametrize("key, verdict", [
    ("live", "referenced"), ("keep/a", "protected"), ("new", "young"), ("orphan", "in_grace"), ("gone", "absent"),
    ("named-but-gone", "absent"), (".heimdall-trash/x", None)])
def test_explain_tells_what_decides(world, key, verdict):
    world.bucket.update(grace="72h", protect=["keep/**"])
    world.live("live", "2")
    world.rows("named-but-gone")
    world.put("keep/a", "orphan")
    world.put("new", age=DAY)
    world.scan().expect(OK)
    line = world.explain(key)
    assert line["reasons"] and (verdict is None or line["verdict"] == verdict)
    if verdict == "absent":
        assert line["key"] == key
    assert not world.run("explain", "s3://media/" + key, as_json=False).expect(OK).out.startswith(b"error")


def test_explain_tells_a_bucket_that_was_not_chosen_from_one_that_is_not_configured(world):
    world.add_bucket("more")
    assert "not chosen" in world.run("explain", "--bucket", "more", "s3://media/x").expect(USAGE).error["message"]
    assert "not configured" in world.run("explain", "--bucket", "more", "s3://other/x").expect(USAGE).error["message"]


def test_nothing_is_due_and_why(world):
    world.live("1", "2")
    commands = [("scan",), ("plan", "-o", world.plan_file), ("apply",), ("apply", "--dry-run")]
    for command in commands:
        assert b"Nothing is due: every object is referenced or protected." in world.run(*command, as_json=False).expect(OK).out
    world.put("new", age=DAY)
    for command in commands:
        assert b"Nothing is due: 1 is younger than `min_age`." in world.run(*command, as_json=False).expect(OK).out
    world.bucket["grace"] = "72h"
    world.put("orphan")
    for command in commands:
        text = world.run(*command, as_json=False).expect(OK).out
        assert b"Nothing is due: 1 in grace until" in text and (b"`apply --ignore-grace`" if command[0] == "apply" else b"`plan --ignore-grace`") in text


def test_explain_needs_a_bucket_and_a_key(world):
    world.live("1")
    for argument in ("1", "s3://media", "s3://media/", "s3:///1", "s3://nobody/1"):
        assert world.run("explain", argument).expect(USAGE).error["hint"]


def test_runs_are_remembered_with_what_became_of_each_key(world):
    world.live("1", "2")
    world.put("orphan")
    world.plan().expect(OK)
    applied = world.apply().expect(OK).summary
    runs = world.run("runs").expect(OK).of("run")
    assert [run["command"] for run in runs] == ["apply", "plan"]
    assert runs[0]["run_id"] == applied["run_id"] and runs[0]["total_deleted"] == 1 and runs[0]["status"] == "success"
    assert world.journal(applied["run_id"]) == {b"orphan": "deleted"}
    assert world.run("runs", "--limit", "1").of("run") == runs[:1]
    assert world.run("runs", "show", "20200101T000000Z-nobody").expect(USAGE).error["hint"]
    assert applied["run_id"].encode() in world.run("runs", as_json=False).out


@pytest.mark.parametrize("orphans, health", [(0, "healthy"), (2, "warning"), (9, "critical")])
def test_stats_tell_the_health_of_a_bucket(world, orphans, health):
    world.live(*[f"k{i}" for i in range(10)])
    world.put(*[f"o{i}" for i in range(orphans)])
    stats = world.run("stats").expect(OK)
    assert stats.of("health")[0]["status"] == health
    assert stats.figures()["orphans_found"] == orphans
    assert health.encode() in world.run("stats", as_json=False).expect(OK).out


def test_folders_and_what_is_ours_are_no_objects(world):
    world.live("1", "2")
    (world.media / "empty").mkdir()
    (world.media / ".heimdall-trash").mkdir()
    (world.media / ".heimdall-storage").mkdir()
    world.put(".heimdall-storage/probe")
    assert world.plan().expect(OK).figures()["total_objects"] == 2
    world.apply().expect(OK)
    assert (world.media / "empty").is_dir() and world.has(".heimdall-storage/probe")


def test_an_empty_plan_can_be_applied(world):
    world.live("1", "2")
    world.plan().expect(OK)
    assert world.apply().expect(OK).summary["total_deleted"] == 0


def test_two_plans_of_the_same_state_name_the_same_keys(world):
    world.live("1", "2", "3")
    world.put("a", "b")
    world.plan().expect(OK)
    first = world.candidates()
    world.run("plan", "-o", world.root / "second.plan").expect(OK)
    assert world.candidates(world.root / "second.plan") == first
    world.apply().expect(OK)
    again = world.run("apply", world.root / "second.plan", "--keys").expect(OK)
    assert set(again.outcomes().values()) == {"already_gone"} and again.summary["total_deleted"] == 0
