"""Keys are bytes: whatever a server accepts is listed, compared and deleted as it is, and protected by a row in any spelling."""

import random
import urllib.parse

import pytest

from servers import *
from world import *

ODD = {
    "blank": "a b",
    "blank at the end": "trailing ",
    "blank at the start": " leading",
    "blanks only": "folder/   /x",
    "plus": "a+b",
    "percent": "100%",
    "percent that looks encoded": "a%20b",
    "percent twice": "a%2520b",
    "question mark": "what?x=1",
    "hash": "a#b",
    "ampersand and quotes": "<&>\"'",
    "entity": "&amp;&#10;",
    "cdata": "]]><![CDATA[",
    "backslash": "a\\b",
    "tab": "a\tb",
    "newline": "a\nb",
    "carriage return": "a\rb",
    "newline of windows": "a\r\nb",
    "control": "a\x01b",
    "escape": "a\x1b[31mb",
    "delete": "a\x7fb",
    "next line": "a\u0085b",
    "line separator": "a\u2028b",
    "no break space": "a\u00a0b",
    "byte order mark": "\ufeffa",
    "right to left": "a\u202eb",
    "noncharacter": "a\uffffb",
    "replacement": "a\ufffdb",
    "composed": "M\u00fcnchen",
    "decomposed": "Mu\u0308nchen",
    "emoji": "\U0001f4f7/\U0001f468\u200d\U0001f469\u200d\U0001f467.jpg",
    "beyond the basic plane": "\U0010fffd",
    "star": "a*b",
    "braces": "{a}[b]",
    "colon and semicolon": "a:b;c",
    "tilde": "~a",
    "equals": "a=b",
    "at": "a@b",
    "dollar": "$a,b",
    "dots in a name": "a..b/...",
    "hidden": ".hidden",
    "upper case": "A/B",
    "lower case": "a/b-lower",
    "long": "/".join(["l" * 200] * 5)[:1000],
    "long segment": "s" * 250,
    "many segments": "/".join("m" * 100),
    "looks like an upload": "a.upload/part.1",
    "looks like a uri": "s3:x",
}


def encoded(key):
    return urllib.parse.quote(key)


# How a row names the key; in `auto`, or where a form is declared.
SPELLINGS = {
    "plain": ("key", lambda key: key),
    "uri": ("uri", lambda key: "s3://media/" + key),
    "url": ("url", lambda key: "http://minio:9000/media/" + encoded(key)),
    "url by host": ("url", lambda key: "https://media.s3.example/" + encoded(key) + "?X-Amz-Signature=0a"),
    "slash": ("auto", lambda key: "/" + key),
    "uri in auto": ("auto", lambda key: "s3://media/" + key),
    "url in auto": ("auto", lambda key: "http://minio:9000/media/" + encoded(key)),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_odd_keys_are_kept_if_named_and_deleted_if_not(full_world, spelling):
    kind, spell = SPELLINGS[spelling]
    world = full_world
    world.bucket["guards"] = {**FAR, "max_near_misses": 1000}
    world.reference["as"] = kind
    world.bucket["batch_size"] = 7
    live = {name: "live/" + key for name, key in ODD.items()}
    orphans = {name: "gone/" + key for name, key in ODD.items()}
    world.put(*live.values(), *orphans.values())
    world.rows(*[spell(key) for key in live.values()])
    before = world.keys()
    assert before == {key.encode() for key in [*live.values(), *orphans.values()]}, "the server took other keys"
    figures = world.plan().expect(OK).figures()
    assert figures["total_objects"] == len(before)
    if kind != "auto":
        assert figures["referenced_objects"] == len(live) and figures["dangling_references"] == 0
    # Every key can be asked for by its name.
    for key in (live["percent that looks encoded"], live["newline"], live["hash"]):
        assert world.explain(key)["verdict"] == "referenced"
    missing = {key.encode() for key in orphans.values()} - world.candidates()
    assert not missing, missing
    applied = world.apply("--keys").expect(OK)
    assert set(applied.outcomes()) == {key.encode() for key in orphans.values()}
    assert world.keys() == {key.encode() for key in live.values()}
    assert world.check_every_key(before, applied.summary["run_id"]) == {key.encode() for key in orphans.values()}


def test_odd_keys_at_the_top_of_a_bucket(s3_world):
    s3_world.bucket["guards"] = {**FAR, "max_near_misses": 1000}
    keys = [key for key in ODD.values() if "/" not in key]
    s3_world.reference["as"] = "key"
    s3_world.live(*keys[::2])
    s3_world.put(*keys[1::2])
    s3_world.plan("--accept", "near_miss").expect(OK)
    assert s3_world.candidates() <= {key.encode() for key in keys[1::2]}
    s3_world.apply().expect(OK)
    assert {key.encode() for key in keys[::2]} <= s3_world.keys()


def test_unicode_forms_are_different_keys_and_a_near_miss_is_kept(s3_world):
    s3_world.live("M\u00fcnchen", "1", "2")
    s3_world.put("Mu\u0308nchen", "Ko\u0308ln")
    s3_world.rows("K\u00f6ln")
    figures = s3_world.plan().expect(OK).figures()
    # The row for Köln has no object in its form, so what nearly equals it is kept. München's row has its object.
    assert s3_world.candidates() == {"Mu\u0308nchen".encode()}
    assert figures["protected_objects"] == 1 and figures["dangling_references"] == 1


def test_markers_of_folders_are_kept(s3_world):
    s3_world.live("a/1", "2")
    s3_world.put("a/", "empty/", data=b"")
    s3_world.put("b/2")
    figures = s3_world.plan().expect(OK).figures()
    assert figures["protected_objects"] == 2
    s3_world.apply().expect(OK)
    assert s3_world.keys() == {b"a/1", b"2", b"a/", b"empty/"}


def random_key(generator):
    alphabet = "ab-._ +%~*é\u0308€\U0001f600/&<\"'\\#?=@:;!{}\t\n\x01"
    while True:
        key = "".join(generator.choice(alphabet) for _ in range(generator.randint(1, 24)))
        segments = key.split("/")
        if all(segment and segment.strip() not in (".", "..", "") for segment in segments) and "\\" not in key:
            if not any(part.strip() in (".", "..") for part in key.replace("\\", "/").split("/")):
                return key


def test_twenty_thousand_random_keys_against_a_set(full_world):
    generator = random.Random(20261123)
    world = full_world
    keys = set()
    folders = set()
    for _ in range(20000):
        key = random_key(generator)
        parents = {key[:i] for i, sign in enumerate(key) if sign == "/"}
        # A key cannot be the folder of another one on this server.
        if key not in folders and not parents & keys:
            keys.add(key)
            folders |= parents
    keys = sorted(keys)
    generator.shuffle(keys)
    live, orphans = keys[:len(keys) // 2], keys[len(keys) // 2:]
    world.bucket["guards"] = {**FAR, "max_near_misses": 10 ** 6}
    world.reference["as"] = "key"
    world.sql("CREATE INDEX ON files (ref)")
    world.clone(*keys)
    world.rows(*live)
    figures = world.plan(timeout=180).expect(OK).figures()
    assert figures["total_objects"] == len(keys)
    assert figures["referenced_objects"] == len(live) and figures["dangling_references"] == 0
    assert world.candidates() == {key.encode() for key in orphans}
    again = generator.sample(orphans, 500)
    world.rows(*again)
    world.apply(timeout=180).expect(OK)
    assert world.keys() == {key.encode() for key in [*live, *again]}
