"""What a server may say or not say (DESIGN.md, invariants 2, 3, 5 and 6): an error is never read as absence, and every outcome is known."""

import concurrent.futures
import itertools
import re

import pytest

from servers import *  # says where the next one is
from misbehaving_proxy import *
from world import *

ORPHANS = [f"o/{i:04}" for i in range(1400)]
LIVE = [f"live/{i:03}" for i in range(60)] + [f"z/{i:03}" for i in range(60)]
NOTHING_WAS_DELETED = set(map(str.encode, ORPHANS + LIVE))

numbers = itertools.count(1)


class Case:
    """A world of its own behind a proxy of its own. Many wait at the same time, so that the tests need not wait one by one."""

    def __init__(self, minio):
        self.proxy = MisbehavingProxy(minio.endpoint)
        self.world = S3World(minio, f"case-{next(numbers)}", self.proxy.endpoint)
        self.world.proxy = self.proxy

    def __enter__(self):
        return self.world

    def __exit__(self, *_):
        self.world.close()
        self.proxy.close()


@pytest.fixture(scope="module")
def at_once(minio):
    """Runs functions of a world side by side: at_once({name: function}) gives {name: future}."""
    pool = concurrent.futures.ThreadPoolExecutor(10)

    def run(function):
        with Case(minio) as world:
            return function(world)

    yield lambda functions: {name: pool.submit(run, function) for name, function in functions.items()}
    pool.shutdown(cancel_futures=True)


def two_pages(world):
    world.bucket["guards"] = {**FAR}
    world.reference["as"] = "key"
    world.clone(*ORPHANS, *LIVE)
    world.rows(*LIVE)


@pytest.fixture(scope="module", autouse=True)
def all_at_once(tried_for_long, unanswered, list_faults):
    """Begins with what takes longest."""


# Lists

SWAP = edit(lambda body: re.sub(rb"(<Contents>.*?</Contents>)(<Contents>.*?</Contents>)", rb"\2\1", body, count=1, flags=re.DOTALL))
BOMB = (b'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY e0 "kkkkkkkkkk">' +
        b"".join(b'<!ENTITY e%d "%s">' % (i, b"&e%d;" % (i - 1) * 10) for i in range(1, 10)) +
        b"]><ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>1</KeyCount><Contents><Key>&e9;</Key><Size>1</Size></Contents></ListBucketResult>")
LIST_FAULTS = {
    "an error": error(500, "InternalError"),
    "a broken connection": lose(),
    "a body that breaks off": cut(),
    "half a document": cut_quietly(),
    "an empty body": says(b""),
    "a page of a proxy": says(b"<html><body>Please log in</body></html>"),
    "a page of a proxy that is XML": says(b'<?xml version="1.0"?><html><body>Please log in</body></html>', content_type="application/xml"),
    "no XML": says(b'{"Contents": []}', content_type="application/json"),
    "an error inside of a success": says(b'<?xml version="1.0"?><Error><Code>InternalError</Code></Error>', content_type="application/xml"),
    "a bucket that is gone": error(404, "NoSuchBucket"),
    "a key that is gone": error(404, "NoSuchKey"),
    "no permission": error(403, "AccessDenied"),
    "too much": slow_down(),
    "another count": replace(rb"<KeyCount>(\d+)</KeyCount>", rb"<KeyCount>9\1</KeyCount>"),
    "keys out of order": SWAP,
    "more to come, without a token": replace(rb"<IsTruncated>[a-z]*</IsTruncated>|<NextContinuationToken>.*?</NextContinuationToken>",
                                              b"<IsTruncated>true</IsTruncated>"),
    "no word on whether there is more": replace(rb"<IsTruncated>[a-z]*</IsTruncated>", b""),
    "a gigantic key": replace(rb"</Key>", b"k" * 20_000 + b"</Key>"),
    "a page without an end in sight": says(b"<ListBucketResult>" + b" " * (16 << 20), content_type="application/xml"),
    "an XML bomb": says(BOMB, content_type="application/xml"),
}


def fails_without_loss(world, action, skip):
    two_pages(world)
    world.proxy.rule("list", action, skip=skip)
    plan = world.plan(timeout=120)
    assert plan.code not in (OK, NOT_EMPTY), plan.story
    assert plan.code in (FAILURE, PARTIAL, REFUSED, UNREACHABLE, PERMISSION), plan.story
    if world.plan_file.exists():
        # Ranges that were listed to their end may be planned.
        assert not world.candidates() & set(map(str.encode, LIVE)), plan.story
        assert plan.code in (PARTIAL, REFUSED), plan.story
        assert plan.of("unlisted"), plan.story
    else:
        assert plan.code != PARTIAL or plan.of("unlisted") or plan.of("error"), plan.story
    world.apply(timeout=120) if world.plan_file.exists() else world.run("apply", "--yes", timeout=120)
    assert set(map(str.encode, LIVE)) <= world.keys()
    # With the fault gone everything is as it should be.
    world.proxy.clear()
    world.plan("--accept", "references_fell", timeout=120).expect(OK)
    left = world.keys() - set(map(str.encode, LIVE))
    assert world.candidates() == left


@pytest.fixture(scope="module")
def list_faults(at_once):
    cases = {(name, skip): (lambda world, action=action, skip=skip: fails_without_loss(world, action, skip))
             for name, action in LIST_FAULTS.items() for skip in (0, 1)}
    return at_once(cases)


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("name", LIST_FAULTS)
def test_a_list_page_that_is(list_faults, name, skip):
    list_faults[name, skip].result()


def test_a_page_that_comes_again_and_again_ends(proxied):
    two_pages(proxied)
    proxied.proxy.rule("list", repeat())
    plan = proxied.plan(timeout=120)
    assert plan.code not in (OK, NOT_EMPTY), plan.story
    assert proxied.proxy.count("list") < 100, "it went round in circles"


@pytest.mark.parametrize("name", ["an error", "a broken connection", "a body that breaks off", "too much"])
def test_a_passing_trouble_is_passed_over(proxied, name):
    two_pages(proxied)
    proxied.proxy.rule("list", LIST_FAULTS[name], times=2)
    proxied.plan().expect(OK)
    assert proxied.candidates() == set(map(str.encode, ORPHANS))


def test_a_list_of_minio_that_would_lose_keys_is_whole(s3_world):
    """start-after inside of a directory with over 1,000 siblings answers a short page (reference: s3-and-minio.md, section 16)."""
    siblings = [f"2024-{i:04}.jpg" for i in range(1100)]
    inside = [f"2024/p{i:03}.jpg" for i in range(1200)]
    s3_world.bucket["guards"] = {**FAR}
    s3_world.clone(*siblings, *inside)
    s3_world.rows(*siblings[::2], *inside[::2])
    figures = s3_world.plan().expect(OK).figures()
    assert figures["total_objects"] == 2300 and figures["dangling_references"] == 0
    assert s3_world.candidates() == {key.encode() for key in siblings[1::2] + inside[1::2]}
    s3_world.apply().expect(OK)
    assert s3_world.keys() == {key.encode() for key in siblings[::2] + inside[::2]}


# Deletes

def sweep_and_settle(world, rule, expected=None):
    """Plans, breaks the delete, applies, recovers: then journal and bucket tell the same. Returns apply's answer, and what is gone."""
    orphans = [f"o/{i}" for i in range(30)]
    world.bucket.update(batch_size=10, guards={**FAR})
    world.reference["as"] = "key"
    world.live("live/1", "live/2")
    world.put(*orphans)
    world.plan().expect(OK)
    before = world.keys()
    rule(world)
    applied = world.apply(timeout=180)
    world.proxy.clear()
    run_id = world.last_run()["run_id"]
    world.run("recover", timeout=180).expect(OK)
    gone = world.check_every_key(before, run_id)
    assert {b"live/1", b"live/2"} <= world.keys()
    assert applied.summary["total_deleted"] <= len(gone)
    if expected is not None:
        assert applied.code in expected, applied.story
    # The next run finishes what is left.
    world.plan().expect(OK)
    world.apply(timeout=180).expect(OK)
    assert world.keys() == {b"live/1", b"live/2"}
    return applied, gone


def deletes(request):
    return request.kind in ("multi_delete", "delete")


def rule(action, **options):
    return lambda world: world.proxy.rule(deletes, action, **options)


NOBODY_ANSWERED = {
    "done, and the connection broke": (rule(forget(), times=1), 30),
    "done, and no answer within the time": (rule(forget(hang=5), times=1), 30),
    "never done, and the connection broke": (rule(lose(), times=1), None),
    "done, and the answer was cut": (rule(cut(), times=1), None),
    "done, and half an answer": (rule(cut_quietly(), times=1), None),
    "done, and a page of a proxy instead": (rule(edit(lambda body: b"<html>Oops</html>"), times=1), None),
    "done, and one key left out of the answer": (rule(replace(rb"<Deleted><Key>o/1</Key></Deleted>", b"")), None),
    "not done, and a page of a proxy": (rule(says(b"<html>Please log in</html>"), times=1), None),
    "done, and an error": (rule(lambda request, forward: (forward(), error(500, "InternalError")(request, forward))[1], times=1), None),
}


@pytest.fixture(scope="module")
def unanswered(at_once):
    return at_once({name: (lambda world, how=how: sweep_and_settle(world, how[0])) for name, how in NOBODY_ANSWERED.items()})


@pytest.mark.parametrize("name", NOBODY_ANSWERED)
def test_a_delete_without_an_answer_is_looked_up(unanswered, name):
    _, gone = unanswered[name].result()
    wanted = NOBODY_ANSWERED[name][1]
    assert wanted is None or len(gone) == wanted


def test_too_much_is_answered_by_patience(proxied):
    proxied.proxy.rule(lambda request: request.kind != "other", slow_down(), times=3)
    applied, gone = sweep_and_settle(proxied, rule(slow_down(), times=3), {OK})
    assert len(gone) == 30


def test_too_much_for_single_keys_inside_of_a_success(proxied):
    applied, gone = sweep_and_settle(proxied, lambda world: world.proxy.rule("multi_delete", refuse_keys("SlowDown"), times=2), {OK, PARTIAL})
    assert applied.code == PARTIAL or len(gone) == 30


def test_keys_that_may_not_be_deleted_have_failed(proxied):
    applied, gone = sweep_and_settle(
        proxied, lambda world: world.proxy.rule("multi_delete", refuse_keys("AccessDenied", "no"), times=1), {PARTIAL, PERMISSION})
    assert len(gone) == 20 and applied.summary["total_failed"] == 10
    said = proxied.run("runs", "show", applied.summary["run_id"]).of("deletion")
    assert all("AccessDenied" in line["error"] for line in said if line["outcome"] == "failed")


def test_a_sweep_that_may_not_delete_deletes_nothing(proxied):
    applied, gone = sweep_and_settle(proxied, rule(error(403, "AccessDenied")), {PARTIAL, PERMISSION})
    assert gone == set() and applied.summary["total_deleted"] == 0


def fails_deletes_for_good(world):
    applied, gone = sweep_and_settle(world, rule(error(503, "ServiceUnavailable")), {PARTIAL, UNREACHABLE})
    assert applied.summary["total_deleted"] == len(gone) == 0


def is_not_there(world):
    world.live("1", "2")
    world.store["endpoint"] = "http://127.0.0.1:9"
    plan = world.plan().expect(UNREACHABLE)
    assert plan.error["message"] and plan.error["hint"]
    assert not world.plan_file.exists()


def knows_no_virtual_hosts(world):
    """MinIO knows virtual hosts only with MINIO_DOMAIN: the other way fails, and says so, rather than meaning another bucket."""
    world.live("1", "2")
    world.store.update(path_style=False, endpoint=world.server.endpoint.replace("127.0.0.1", "localhost"))
    plan = world.plan()
    assert plan.code in (FAILURE, UNREACHABLE, PERMISSION), plan.story
    assert not world.plan_file.exists()


TRIED_FOR_LONG = [fails_deletes_for_good, is_not_there, knows_no_virtual_hosts]


@pytest.fixture(scope="module")
def tried_for_long(at_once):
    return at_once({function: function for function in TRIED_FOR_LONG})


@pytest.mark.parametrize("function", TRIED_FOR_LONG)
def test_a_server_that(tried_for_long, function):
    tried_for_long[function].result()


@pytest.mark.parametrize("trouble, times", [(slow_down(), 3), (error(403, "AccessDenied"), None)])
def test_a_probe_that_could_not_be_removed_is_removed_later(proxied, trouble, times):
    """What is ours in a bucket does not pile up."""
    proxied.live("1", "2")
    proxied.put("orphan")
    proxied.plan().expect(OK)
    proxied.proxy.rule(deletes, trouble, times=times)
    proxied.apply()
    proxied.proxy.clear()
    proxied.plan()
    proxied.apply()
    assert proxied.everything() == {b"1", b"2"}


def test_a_policy_that_forbids_single_keys(s3_world, minio):
    orphans = [f"o/{i}" for i in range(6)] + ["o/locked/1", "o/locked/2"]
    s3_world.live("1", "2")
    s3_world.put(*orphans)
    s3_world.bucket["guards"] = {**FAR}
    s3_world.plan().expect(OK)
    s3_world.as_somebody(minio.session(allow("s3:*"), deny("s3:DeleteObject", resource="media/o/locked/*")))
    s3_world.plan().expect(OK)  # another way to sign is another configuration
    applied = s3_world.apply("--keys").expect(PARTIAL)
    assert s3_world.keys() == {b"1", b"2", b"o/locked/1", b"o/locked/2"}
    assert {key for key, outcome in applied.outcomes().items() if outcome == "failed"} == {b"o/locked/1", b"o/locked/2"}


# What is there when the delete leaves

def test_what_was_written_after_the_plan_stays(s3_world):
    s3_world.live("1", "2", "3")
    s3_world.put("rewritten", "same", "gone")
    s3_world.plan().expect(OK)
    s3_world.rewrite("rewritten", b"x" * 10)  # of the same size, and the same content: only its date tells
    s3_world.s3.delete_object(Bucket="media", Key="gone")
    outcomes = s3_world.apply("--keys").expect(OK).outcomes()
    assert outcomes == {b"rewritten": "skipped_changed", b"same": "deleted", b"gone": "already_gone"}
    assert s3_world.keys() == {b"1", b"2", b"3", b"rewritten"}


def test_what_is_written_in_the_last_moment_stays_where_the_server_can_tell(versitygw):
    """versitygw honours If-Match: the window between the comparison and the delete is closed (invariant 5)."""
    proxy = MisbehavingProxy(versitygw.endpoint)
    world = S3World(versitygw, endpoint=proxy.endpoint)
    try:
        world.live("1", "2")
        world.put("orphan-1", "orphan-2")
        world.plan().expect(OK)

        def rewrite(request):
            if not request.key.startswith(".heimdall-storage/"):
                world.rewrite("orphan-1")

        proxy.rule(lambda request: deletes(request) and "orphan-1" in (request.key, *(request.keys() if not request.key else [])),
                   first(rewrite), times=1)
        outcomes = world.apply("--keys").expect(OK).outcomes()
        assert outcomes == {b"orphan-1": "skipped_changed", b"orphan-2": "deleted"}
        assert world.keys() == {b"1", b"2", b"orphan-1"}
    finally:
        world.close()
        proxy.close()


def test_the_probe_leaves_nothing_and_is_never_counted(versitygw):
    world = S3World(versitygw)
    try:
        world.live("1", "2")
        world.put("orphan")
        assert world.plan().expect(OK).figures()["total_objects"] == 3
        world.apply().expect(OK)
        world.run("doctor", "--probe").expect(OK)
        assert world.everything() == {b"1", b"2"}
    finally:
        world.close()


def test_a_delete_in_a_versioned_bucket_can_be_undone(s3_world):
    s3_world.s3.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
    s3_world.live("1", "2")
    s3_world.put("orphan", age=90 * DAY)
    s3_world.plan().expect(OK)
    applied = s3_world.apply("--keys").expect(OK)
    assert applied.outcomes() == {b"orphan": "deleted"}
    assert b"no space came back" in applied.err
    versions = s3_world.s3.list_object_versions(Bucket="media", Prefix="orphan")
    assert len(versions["Versions"]) == 1 and len(versions["DeleteMarkers"]) == 1
    s3_world.s3.delete_object(Bucket="media", Key="orphan", VersionId=versions["DeleteMarkers"][0]["VersionId"])
    assert s3_world.s3.head_object(Bucket="media", Key="orphan")["ContentLength"] == 10
    assert s3_world.plan().expect(OK).figures()["due_objects"] == 1


def test_what_suspended_versioning_hides_is_told(s3_world):
    s3_world.s3.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
    s3_world.live("1", "2")
    s3_world.put("orphan", age=90 * DAY)
    s3_world.s3.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Suspended"})
    s3_world.plan().expect(OK)
    applied = s3_world.apply("--keys").expect(OK)
    assert applied.outcomes() == {b"orphan": "deleted"} and b"hidden behind a delete marker" in applied.err


# Clocks and keys

@pytest.mark.parametrize("seconds", [400, -400])
def test_a_clock_that_is_off_refuses(proxied, seconds):
    proxied.live("1", "2")
    proxied.put("orphan")
    proxied.proxy.date_offset = seconds
    plan = proxied.plan().expect(REFUSED)
    assert plan.guards() == ["clock_skew"]
    assert not proxied.plan_file.exists()


def test_the_age_of_an_object_is_by_the_clock_of_the_server(proxied):
    proxied.live("1", "2")
    proxied.put("nearly", age=30 * DAY - 100)
    assert proxied.plan().expect(OK).figures()["young_objects"] == 1
    proxied.proxy.date_offset = 200
    assert proxied.plan().expect(OK).figures()["due_objects"] == 1


def test_an_upload_in_flight_is_young(s3_world):
    s3_world.live("1", "2")
    s3_world.put("new", age=1)
    s3_world.put("from the future", age=-3600)
    figures = s3_world.plan().figures()
    assert figures["due_objects"] == 0 and figures["young_objects"] == 2


def test_secrets_are_in_no_output_and_no_file(s3_world, minio):
    secret = minio.facts["secret_key"]
    s3_world.live("1", "2")
    s3_world.put("orphan")
    said = [s3_world.plan(), s3_world.apply(), s3_world.run("doctor"), s3_world.run("runs")]
    s3_world.env = {**s3_world.env, "TEST_SECRET_KEY": secret + "-wrong"}
    said += [s3_world.plan(), s3_world.run("doctor"), s3_world.run("doctor", as_json=False)]
    for result in said:
        assert secret.encode() not in result.out + result.err, result.story
    for path in s3_world.root.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("what", ["secret", "access key", "no keys", "bucket"])
def test_a_store_that_cannot_be_used_is_an_error_with_an_exit_code(s3_world, what):
    s3_world.live("1", "2")
    codes = (PERMISSION,)
    if what == "secret":
        s3_world.env = {**s3_world.env, "TEST_SECRET_KEY": "wrong"}
    elif what == "access key":
        s3_world.env = {**s3_world.env, "TEST_ACCESS_KEY": "nobody"}
    elif what == "no keys":
        s3_world.env = {}
    else:
        s3_world.bucket["name"] = "no-such-bucket"
        codes = (FAILURE, UNREACHABLE)
    plan = s3_world.plan()
    assert plan.code in codes, plan.story
    assert plan.error["message"] and plan.error["hint"]
    assert not s3_world.plan_file.exists()


def test_planning_works_with_keys_that_cannot_delete(s3_world, minio):
    """`delete_access_key_env` is the sweep's own."""
    s3_world.live("1", "2")
    s3_world.put("orphan")
    s3_world.as_somebody(minio.session(allow("s3:ListBucket", "s3:GetObject", "s3:GetBucketLocation", "s3:GetBucketVersioning",
                                             "s3:GetBucketObjectLockConfiguration", "s3:GetLifecycleConfiguration", "s3:ListAllMyBuckets")))
    s3_world.env.update(minio.keys_of())
    s3_world.store.update(delete_access_key_env="TEST_ACCESS_KEY", delete_secret_key_env="TEST_SECRET_KEY")
    s3_world.plan().expect(OK)
    s3_world.apply().expect(OK)
    assert s3_world.keys() == {b"1", b"2"}


# Other buckets

def test_the_bucket_was_made_anew(s3_world):
    """Another bucket of the same name is another bucket: identity_changed."""
    s3_world.live("1", "2")
    s3_world.put("orphan")
    s3_world.plan().expect(OK)
    s3_world.remove_bucket("media")
    s3_world.s3.create_bucket(Bucket="media")
    s3_world.put("1", "2", "orphan")
    applied = s3_world.apply()
    assert applied.code in (REFUSED, STALE), applied.story
    assert s3_world.keys() == {b"1", b"2", b"orphan"}
