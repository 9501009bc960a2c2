"""Errors of the configuration: exit 10, each with its file, line and column, and what is allowed instead (DESIGN.md section 5)."""

import re

import pytest

from world import *

GOOD = """\
stores:
  disk: {type: directory, path: ./media, age: mtime}
databases:
  app: {type: sqlite, path: ./app.db}
buckets:
  - name: media
    store: disk
    min_age: 30d
    references:
      - {database: app, query: "SELECT ref FROM files"}
state: {path: ./state}
"""

# What is replaced, by what, the line that is named, and a word that the message or hint must hold.
MISTAKES = {
    "unknown key": ("min_age: 30d", "min_ago: 30d", 8, "min_age"),
    "unknown section": ("state: {path: ./state}", "sate: {path: ./state}", 11, "state"),
    "duplicate key": ("min_age: 30d", "min_age: 30d\n    min_age: 31d", 9, "min_age"),
    "bare number as duration": ("min_age: 30d", "min_age: 30", 8, "30"),
    "duration in words": ("min_age: 30d", "min_age: a month", 8, "30d"),
    "negative duration": ("min_age: 30d", "min_age: -30d", 8, "30d"),
    "young without permission": ("min_age: 30d", "min_age: 10m", 8, "allow_young"),
    "unknown mode": ("min_age: 30d", "mode: remove", 8, "delete"),
    "mode not built yet": ("min_age: 30d", "mode: quarantine", 8, "quarantine"),
    "boolean in words": ("min_age: 30d", "allow_young: yes", 8, "true"),
    "bare number as size": ("min_age: 30d", "guards: {max_bytes: 100}", 8, "max_bytes"),
    "ratio above one": ("min_age: 30d", "guards: {max_orphan_ratio: 1.5}", 8, "max_orphan_ratio"),
    "ratio that is no number": ("min_age: 30d", "guards: {max_orphan_ratio: .nan}", 8, "max_orphan_ratio"),
    "unknown guard": ("min_age: 30d", "guards: {orphan_ratio: 0.5}", 8, "max_orphan_ratio"),
    "batch of none": ("min_age: 30d", "batch_size: 0", 8, "1000"),
    "batch too large": ("min_age: 30d", "batch_size: 1001", 8, "1000"),
    "prefix without end": ("min_age: 30d", 'prefixes: ["a"]', 8, "/"),
    "prefixes that overlap": ("min_age: 30d", 'prefixes: ["a/", "a/b/"]', 8, "a/"),
    "pattern that matches nothing": ("min_age: 30d", 'protect: ["keep/"]', 8, "keep/"),
    "unknown store": ("store: disk", "store: dsk", 7, "disk"),
    "unknown database": ("database: app", "database: ap", 10, "app"),
    "no references": ('references:\n      - {database: app, query: "SELECT ref FROM files"}', "references: []", 9, "reference"),
    "two kinds of reference": ("query: ", "list: keys, query: ", 10, "list"),
    "reference without a kind": (', query: "SELECT ref FROM files"', "", 10, "query"),
    "unknown companion field": ("query: ", 'companions: ["{nope}"], query: ', 10, "stem"),
    "unknown form": ("query: ", "as: path, query: ", 10, "prefix"),
    "unknown type of store": ("type: directory", "type: directry", 2, "directory"),
    "endpoint without a scheme": ("type: directory, path: ./media, age: mtime", 'type: s3, endpoint: "127.0.0.1:9000"', 2, "http://"),
    "unknown age": ("age: mtime", "age: atime", 2, "mtime"),
    "unknown type of database": ("type: sqlite", "type: sqlte", 4, "sqlite"),
    "events not built yet": ("state: {path: ./state}", "events: {database: app}", 11, "events"),
    "a wrong time": ("state: {path: ./state}", "schedules:\n  - {name: s, task: cleanup, cron: 0 25 * * *}", 12, "hour"),
    "an unknown time zone": ("state: {path: ./state}", "schedules:\n  - {name: s, task: stats, cron: 0 3 * * *, time_zone: Europe/Roma}", 12, "Europe/Rome"),
    "a schedule of an unknown bucket": ("state: {path: ./state}", "schedules:\n  - {name: s, task: stats, every: 1h, buckets: [mdia]}", 12, "media"),
    "an address without a port": ("state: {path: ./state}", "http: {listen: localhost}", 11, "127.0.0.1:8001"),
    "thresholds the wrong way round": ("state: {path: ./state}", "health: {warning_ratio: 0.5}", 11, "critical_ratio"),
    "runs kept for too short a time": ("state: {path: ./state}", "state: {keep_runs: 1h}", 11, "1d"),
    "an anchor": ("min_age: 30d", "min_age: &age 30d", 8, ""),
    "a tag": ("min_age: 30d", "min_age: !!str 30d", 8, ""),
    "a list where a name is expected": ("store: disk", "store: [disk]", 7, ""),
    "broken YAML": ("min_age: 30d", "min_age: [30d", None, ""),
    "a tab": ("    min_age: 30d", "\tmin_age: 30d", 8, ""),
    "two documents": ("state:", "---\nstate:", None, ""),
    "state among the objects": ("path: ./state", "path: ./media/state", 11, "state"),
    "database among the objects": ("path: ./app.db", "path: ./media/app.db", 4, "app"),
    "a bucket's name twice": ("state:", "  - {name: media, store: disk, references: [{database: app, query: SELECT 1}]}\nstate:", 11, "media"),
    "a store inside of a store": ("databases:", "  sub: {type: directory, path: ./media/sub}\ndatabases:", 3, "media"),
    "nothing": (GOOD, "", None, ""),
    "a word": (GOOD, "heimdall", None, ""),
    "not UTF-8": ("min_age: 30d", "description: caf\udce9", 8, "UTF-8"),
}


@pytest.fixture
def plain(world):
    world.config = None
    world.config_file.write_text(GOOD)
    (world.media / "sub").mkdir()
    world.live("1", "2")
    return world


def test_the_example_of_these_tests_is_right(plain):
    plain.scan().expect(OK)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_the_remedy(plain, mistake):
    old, new, line, word = MISTAKES[mistake]
    assert old in GOOD
    plain.config_file.write_bytes(GOOD.replace(old, new).encode(errors="surrogateescape"))
    failed = plain.scan().expect(CONFIGURATION)
    told = failed.error["message"] + " " + failed.error["hint"]
    assert word in told, failed.story
    if line is not None:
        assert re.search(rf"heimdall\.yaml:{line}:\d+: ", told), failed.story
    for command in (["plan", "-o", "p"], ["apply", "--yes"], ["doctor"], ["stats"], ["runs"], ["recover"], ["schedules"], ["explain", "s3://media/1"]):
        plain.run(*command).expect(CONFIGURATION)
    text = plain.scan(as_json=False).expect(CONFIGURATION)
    assert text.out == b"" and text.err.startswith(b"error: ")
    assert not plain.state.exists(), "a wrong configuration created a state directory"


def test_all_mistakes_are_told_at_once(plain):
    plain.config_file.write_text(GOOD.replace("min_age: 30d", "min_age: 30\n    mode: remove").replace("path: ./state", "pth: ./state"))
    message = plain.scan().expect(CONFIGURATION).error["message"]
    assert len(re.findall(r"heimdall\.yaml:\d+:\d+: ", message)) >= 3


def test_a_password_in_the_file_is_refused_and_never_repeated(plain):
    for text in ('app: {type: postgresql, url: "postgresql://u:hunter2@h/db"}', "app: {type: sqlite, path: ./app.db, password: hunter2}",
                 'app: {type: postgresql, url: "postgresql://u@h/db?password=hunter2"}'):
        plain.config_file.write_text(GOOD.replace("app: {type: sqlite, path: ./app.db}", text))
        for as_json in (True, False):
            failed = plain.scan(as_json=as_json).expect(CONFIGURATION)
            assert b"hunter2" not in failed.out + failed.err


def test_a_missing_configuration_is_told_with_where_it_was_looked_for(plain):
    plain.config_file.unlink()
    failed = plain.scan().expect(CONFIGURATION)
    assert "heimdall.yaml" in failed.error["message"]
    plain.run("scan", config=False, cwd=plain.media).expect(CONFIGURATION)


def test_the_configuration_may_be_named_in_front_of_the_command_behind_it_or_not_at_all(plain):
    file = str(plain.config_file)
    plain.run("--config", file, "scan", config=False, cwd="/").expect(OK)
    plain.run("scan", "--config", file, config=False, cwd="/").expect(OK)
    plain.run("scan", config=False, cwd="/", env={"HEIMDALL_STORAGE_CONFIG": file}).expect(OK)
    plain.run("scan", config=False, cwd=plain.root).expect(OK)


def test_paths_are_relative_to_the_file_and_those_of_flags_to_the_working_directory(plain):
    plain.scan("--state", "s2", cwd=plain.media.parent).expect(OK)
    assert (plain.root / "s2" / "state.db").exists() and not plain.state.exists()
    plain.scan(cwd="/", env={"HEIMDALL_STORAGE_STATE": str(plain.root / "s3")}).expect(OK)
    plain.scan("--state", plain.root / "s4", env={"HEIMDALL_STORAGE_STATE": str(plain.root / "s5")}).expect(OK)
    plain.scan(cwd="/").expect(OK)
    assert (plain.root / "s3").exists() and (plain.root / "s4").exists() and not (plain.root / "s5").exists() and plain.state.exists()


def test_a_state_directory_among_the_objects_is_refused_from_flags_too(plain):
    plain.scan("--state", plain.media / "state").expect(CONFIGURATION)
    assert not plain.has("state")
