"""What the service really answers, against its own OpenAPI document: status, content type and every field."""

import copy
import re

import pytest

jsonschema = pytest.importorskip("jsonschema")

from service import *
from world import *

UNKNOWN = "20200101T000000Z-000000"


def closed(schema):
    """A field that the document does not know is a mistake here; readers ignore it."""
    if isinstance(schema, dict):
        if "properties" in schema and "object" in schema.get("type", []):
            schema.setdefault("additionalProperties", False)
        for inner in schema.values():
            closed(inner)
    elif isinstance(schema, list):
        for inner in schema:
            closed(inner)
    return schema


class Document:
    def __init__(self, document):
        self.document = document
        self.components = closed(copy.deepcopy(document["components"]))
        self.seen = set()

    def resolve(self, part):
        while "$ref" in part:
            found = self.document
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            part = found
        return part

    def operation(self, method, path):
        for pattern in sorted(self.document["paths"], key=lambda pattern: pattern.count("{")):
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path) and method.lower() in self.document["paths"][pattern]:
                return pattern, self.document["paths"][pattern][method.lower()]
        raise AssertionError(f"{method} {path} is not in the document")

    def check(self, method, target, answer):
        pattern, operation = self.operation(method, target.split("?")[0])
        assert str(answer.status) in operation["responses"], f"{method} {pattern} answers {answer.status}: {answer.body[:500]!r}"
        self.seen.add((method, pattern, answer.status))
        response = self.resolve(operation["responses"][str(answer.status)])
        if "content" not in response:
            assert answer.body == b""
            return
        media_type = answer.headers["content-type"].split(";")[0]
        assert media_type in response["content"], f"{method} {pattern}: {media_type}"
        if media_type.endswith("json"):
            schema = closed(copy.deepcopy(response["content"][media_type]["schema"]))
            jsonschema.Draft202012Validator({**schema, "components": self.components}).validate(answer.json)
        for name in response.get("headers", {}):
            assert name.lower() in answer.headers, f"{method} {pattern} {answer.status} without {name}"


class Checked(Service):
    """Each answer is checked against the document."""

    document = None

    def call(self, method, path, *args, **options):
        answer = super().call(method, path, *args, **options)
        if self.document is not None:
            self.document.check(method, path, answer)
        return answer

    def delete(self, path, **options):
        return self.call("DELETE", path, token=self.token, **options)


@pytest.fixture
def service(world):
    world.live("live/1.jpg", "live/2.jpg", "live/3.jpg")
    world.put("old/1.jpg", "old/2.jpg", b"old/\xff.jpg")
    world.bucket["guards"] = {"max_orphan_ratio": 0.9}
    world.config["schedules"] = [{"name": "nightly", "task": "cleanup", "cron": "0 3 * * *", "time_zone": "Europe/Rome"},
                                 {"name": "hourly", "task": "stats", "every": "1h", "buckets": ["media"]}]
    service = Checked(world).start()
    document = service.get("/api/v1/openapi.json").expect(200).json
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    service.document = Document(document)
    return service


def test_every_operation_answers_as_documented(world, service):
    for path in ("/", "/livez", "/readyz", "/metrics", "/metrics/storage", "/api/v1/openapi.json", "/api/v1/runs", "/api/v1/plans", "/api/v1/buckets",
                 "/api/v1/buckets/media", "/api/v1/schedules", "/api/v1/schedules?count=3", "/api/v1/doctor", "/api/v1/doctor?bucket=media",
                 "/api/v1/explain?object=s3://media/old/1.jpg", "/api/v1/explain?object=s3://media/live/1.jpg",
                 "/api/v1/explain?object=s3://media/old/%ff.jpg", "/api/v1/explain?object=s3://media/none"):
        service.get(path).expect(200)

    stats = service.run("stats")
    assert stats["status"] == "success"
    service.get("/api/v1/buckets/media/history?days=30").expect(200)
    service.get("/metrics/storage").expect(200)

    plan_id = service.post("/api/v1/plans", {"buckets": ["media"], "ignore_grace": False, "limit": 2}).expect(202).json["plan_id"]
    service.wait_for_run(plan_id)
    plan = service.get(f"/api/v1/plans/{plan_id}").expect(200).json
    assert plan["candidates"] == 2 and plan["status"] == "pending"
    assert len(service.get(f"/api/v1/plans/{plan_id}/candidates?limit=1").expect(200).json["candidates"]) == 1
    service.get("/api/v1/plans?limit=1").expect(200)
    service.post(f"/api/v1/plans/{plan_id}/approve", {"digest": "0" * 64}).expect(409)
    run_id = service.post(f"/api/v1/plans/{plan_id}/approve", {"digest": plan["digest"]}).expect(202).json["run_id"]
    assert service.wait_for_run(run_id)["total_deleted"] == 2
    assert service.get(f"/api/v1/runs/{run_id}/deletions?limit=1").expect(200).json["next"]
    assert service.get(f"/api/v1/runs/{run_id}/deletions").expect(200).json["next"] is None
    service.get("/api/v1/runs?before=").expect(200)
    service.get("/api/v1/plans?before=").expect(200)
    service.post(f"/api/v1/plans/{plan_id}/approve", {"digest": plan["digest"]}).expect(409)
    service.delete(f"/api/v1/plans/{plan_id}").expect(204)

    assert service.run("cleanup", dry_run=True, buckets=["media"])["buckets"]["media"]["due_objects"] == 1
    service.run("cleanup")
    assert len(world.keys()) == 3
    service.get("/api/v1/runs?limit=2&status=success&bucket=media").expect(200)
    service.post(f"/api/v1/runs/{run_id}/cancel").expect(409)
    service.delete(f"/api/v1/runs/{run_id}").expect(409)
    service.stop()


def test_what_goes_wrong_is_documented_too(world, service):
    for path in (f"/api/v1/runs/{UNKNOWN}", f"/api/v1/runs/{UNKNOWN}/deletions", f"/api/v1/runs/{UNKNOWN}/events", f"/api/v1/plans/{UNKNOWN}",
                 f"/api/v1/plans/{UNKNOWN}/candidates", "/api/v1/buckets/nobody", "/api/v1/buckets/nobody/history"):
        service.get(path).expect(404)
    for path in ("/api/v1/runs?limit=0", "/api/v1/runs?nonsense=1", "/api/v1/plans?before=x", "/api/v1/buckets/media/history?days=x",
                 "/api/v1/schedules?count=0", "/api/v1/explain", "/api/v1/doctor?bucket=nobody", "/api/v1/events?last_event_id=x",
                 "/api/v1/doctor?bucket=", "/api/v1/explain?object=", f"/api/v1/runs/{UNKNOWN}/deletions?after=99999999999999999999", "/livez?%00", "/api/v1/buckets?%00"):
        assert service.get(path).expect(400).json["hint"]
    for body, field in (({}, "task"), ({"task": "apply"}, "task"), ({"task": "stats", "dry": True}, "dry"), ({"task": "stats", "buckets": ["nobody"]}, "buckets")):
        assert service.post("/api/v1/runs", body).expect(422).json["field"] == field
    service.post("/api/v1/runs", b"{").expect(400)
    service.post("/api/v1/runs", {"task": "stats"}, headers={"Content-Type": "text/plain"}).expect(415)
    service.post("/api/v1/runs", {"task": "stats"}, token=None).expect(401)
    service.post("/api/v1/runs", {"task": "stats"}, token="wrong").expect(401)
    service.post("/api/v1/runs", {"task": "stats"}, headers={"Sec-Fetch-Site": "cross-site"}).expect(403)
    service.post("/api/v1/runs", {"task": "stats"}, headers={"Origin": "http://evil.example"}).expect(403)
    service.post("/api/v1/plans", {"accept": ["nonsense"]}).expect(422)
    service.get("/api/v1/runs", headers={"Host": "evil.example"}).expect(421)
    for path in (f"/api/v1/runs/{UNKNOWN}", f"/api/v1/plans/{UNKNOWN}"):
        service.delete(path).expect(404)
    service.post(f"/api/v1/runs/{UNKNOWN}/cancel").expect(404)
    service.post(f"/api/v1/plans/{UNKNOWN}/approve", {"digest": "x"}).expect(404)
    service.stop()


def test_requests_are_described_as_they_are_taken(service):
    """What the document allows is taken, and its examples are."""
    requests = [(path, operation["requestBody"]["content"]["application/json"])
                for path, methods in service.document.document["paths"].items() for operation in methods.values() if "requestBody" in operation]
    assert len(requests) == 3
    for path, content in requests:
        schema = {**content["schema"], "components": service.document.components}
        jsonschema.Draft202012Validator(schema).validate(content["example"])
        if "{" not in path:
            run_id = service.post(path, content["example"]).expect(202).json["run_id"]
            assert service.wait_for_run(run_id)["status"] == "success"
    service.stop()
