"""Keys are bytes: odd names are kept when a row names them in any spelling, and deleted, told and journalled when none does."""

import urllib.parse

import pytest

from world import *

ODD_NAMES = [
    "new\nline", "tab\tbed", "bell\x07", "escape\x1b[31mred", "delete\x7f", "100%", "50%25", "a+b", "a b", "trailing ", " leading",
    "q?x=1", "h#x", "caf\u00e9", "cafe\u0301", b"latin\xe9", b"\xff\xfe", "back\\slash", "'quoted'", '"double"', "; drop", "\U0001f600",
    "-rf", "..dots", "a..b", "...", ".hidden", "%2e%2e%2fetc", "star*", "[set]", "{brace}", "$1", "rtl\u202eexe", "\ufeffbom", "nul\\0",
    "s3:/other/x", "http:/host/media/x", "dir.with.dots/file", "dir%2Fslash", "UPPER", "\u0130stanbul", "~", "a:b", "a&b", "a=b,c;d", "x" * 255,
]


def as_bytes(name):
    return os.fsencode(name)


def text_of(raw):
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw  # a BLOB


def literal(raw):
    return text_of(raw)


def uri(raw):
    return text_of(b"s3://media/" + raw)


def url(raw):
    return "https://minio.example/media/" + urllib.parse.quote(raw)


def encoded(raw):
    return urllib.parse.quote(raw)


def dotted(raw):
    return text_of(b"./" + raw)


def without_scheme(raw):
    return "//minio.example/media/" + urllib.parse.quote(raw)


KEYS = [b"odd/" + as_bytes(name) for name in ODD_NAMES]


@pytest.mark.parametrize("spelled", [literal, uri, url, encoded, dotted, without_scheme], ids=lambda f: f.__name__)
def test_odd_names_are_kept_in_every_spelling(world, spelled):
    world.live("1", "2")
    world.put(*KEYS)
    world.rows(*[spelled(key) for key in KEYS])
    # Without a scheme the decoded key is a further meaning: it protects, and does not count as a hit.
    figures = world.plan(*(["--accept", "match_rate"] if spelled in (encoded, without_scheme) else [])).expect(OK).figures()
    assert world.candidates() == set()
    assert figures["referenced_objects"] == len(KEYS) + 2


@pytest.mark.parametrize("kind, spelled", [("key", literal), ("uri", uri), ("url", url)])
def test_odd_names_are_kept_when_the_form_is_declared(world, kind, spelled):
    world.reference["as"] = kind
    world.put(*KEYS)
    world.rows(*[spelled(key) for key in KEYS])
    assert world.plan().expect(OK).figures()["referenced_objects"] == len(KEYS)


@pytest.mark.parametrize("kind, spelled", [("key", literal), ("uri", uri)])
def test_odd_names_are_seen_by_an_indexed_recheck(world, kind, spelled):
    world.sql("DROP TABLE files", "CREATE TABLE files (ref TEXT PRIMARY KEY)")
    world.reference["as"] = kind
    live = [f"live/{i}".encode() for i in range(len(KEYS) + 1)]
    world.put(*live, *KEYS)
    world.rows(*[spelled(key) for key in live])
    world.plan().expect(OK)
    assert world.candidates() == set(KEYS)
    world.rows(*[spelled(key) for key in KEYS])
    assert set(world.apply("--keys").expect(OK).outcomes().values()) == {"skipped_referenced"}
    assert world.keys() == set(live) | set(KEYS)


def test_odd_orphans_are_deleted_and_told_byte_by_byte(world):
    live = [f"live/{i}" for i in range(len(KEYS) + 1)]
    world.live(*live)
    world.put(*KEYS)
    world.plan().expect(OK)
    assert world.candidates() == set(KEYS)
    for key in KEYS:
        line = world.explain(key)
        assert key_of(line) == key and line["verdict"] == "due"
    applied = world.apply("--keys").expect(OK)
    assert applied.outcomes() == {key: "deleted" for key in KEYS}
    assert world.journal(applied.summary["run_id"]) == {key: "deleted" for key in KEYS}
    assert world.keys() == {key.encode() for key in live}


def test_text_output_shows_no_control_character_of_a_name(world):
    live = [f"live/{i}" for i in range(len(KEYS) + 1)]
    world.live(*live)
    world.rows("gone\x1b[2J\nx", "gopher://\x1b[2J\x07")
    world.put(*KEYS)
    said = [world.plan("--accept", "unmapped_references", as_json=False).expect(OK),
            world.run("show", "--keys", world.plan_file, as_json=False).expect(OK),
            world.run("explain", b"s3://media/odd/escape\x1b[31mred", as_json=False).expect(OK),
            world.run("doctor", as_json=False),
            world.apply("--keys", as_json=False).expect(OK)]
    for result in said:
        for stream in (result.out, result.err):
            assert not any(byte < 0x20 and byte != 0x0a or byte == 0x7f for byte in stream), result.story
            assert "\u202e".encode() not in stream, "a name turned the text around: " + result.story


def test_names_that_differ_only_in_form_are_different_objects(world):
    world.live("caf\u00e9", "a b", "x/y", "Case")
    world.put("cafe\u0301", "a%20b", "case", "x/y ")
    world.plan().expect(OK)
    assert world.candidates() == {"cafe\u0301".encode(), b"a%20b", b"case", b"x/y "}


def test_a_dangling_reference_that_is_not_utf8_is_written_as_base64(world):
    world.live("1", "2")
    world.rows(b"gone/\xff")
    world.scan("--dangling", world.root / "d").expect(OK)
    line = json.loads((world.root / "d").read_text())
    assert key_of(line) == b"gone/\xff"


def test_deep_and_wide_trees_are_walked(world):
    deep = "/".join(["d"] * 300)
    world.live(deep + "/live", "1")
    world.put(deep + "/orphan", *[f"wide/{i}" for i in range(1)])
    assert world.plan("--accept", "orphan_ratio").expect(OK).figures()["total_objects"] == 4
    world.apply().expect(OK)
    assert world.keys() == {(deep + "/live").encode(), b"1"}


def test_a_file_below_a_live_name_and_beside_it_are_told_apart(world):
    # "a-b" sorts before "a/b" in bytes, but a walk meets the directory "a" first.
    names = ["a/b", "a-b", "a.b", "a0b", "a/b-c", "ab", "a!/x", "a/!", "a/~"]
    world.live(*names)
    world.put("a/c", "a-c", "a.c", "a!/y")
    assert world.clean_up() == {name.encode() for name in names}
