#!/usr/bin/python3
"""The objects of the Heimdall example, as expected.json lists them: each with its age, and what becomes of it.

    fill.py make                 creates buckets and objects
    fill.py rewrite BUCKET KEY   puts another content there, now
    fill.py check                compares what is left with what should be, and says so

Where the server is: S3_ENDPOINT, MINIO_ACCESS_KEY, MINIO_SECRET_KEY.
"""

import datetime
import json
import os
import pathlib
import sys

import boto3
import botocore.config

EXPECTED = json.loads((pathlib.Path(__file__).parent / "expected.json").read_text())


def connect():
    return boto3.client(
        "s3", endpoint_url=os.environ["S3_ENDPOINT"], region_name="us-east-1",
        aws_access_key_id=os.environ["MINIO_ACCESS_KEY"], aws_secret_access_key=os.environ["MINIO_SECRET_KEY"],
        config=botocore.config.Config(s3={"addressing_style": "path"}, proxies={}))


def put(s3, bucket, key, body, age):
    """An object of any age: as MinIO's own replication would bring it, which needs the root credentials."""
    date = (datetime.datetime.now(datetime.timezone.utc) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers = {"X-Minio-Source-Mtime": date, "X-Minio-Source-Replication-Request": "true", "X-Amz-Bucket-Replication-Status": "REPLICA"}

    def add_headers(request, **_):
        for name, value in headers.items():
            request.headers[name] = value
        del request.headers["Expect"]  # or the object after an empty one waits for half a minute

    s3.meta.events.register("before-sign.s3.PutObject", add_headers, unique_id="age")
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    s3.meta.events.unregister("before-sign.s3.PutObject", unique_id="age")


def make(s3):
    for bucket, objects in EXPECTED.items():
        s3.create_bucket(Bucket=bucket)
        for entry in objects:
            put(s3, bucket, entry["key"], b"\0" * entry["size"], datetime.timedelta(days=entry["age_days"]))
    return 0


def rewrite(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"recorded once more")
    return 0


def check(s3):
    wrong = gone = 0
    for bucket, objects in EXPECTED.items():
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        left = {entry["Key"] for page in pages for entry in page.get("Contents", [])}
        for entry in objects:
            is_left = entry["key"] in left
            gone += not is_left
            if is_left != (entry["fate"] == "kept"):
                wrong += 1
                print(f"s3://{bucket}/{entry['key']} is {'left' if is_left else 'gone'}: {entry['why']}", file=sys.stderr)
        for key in left - {entry["key"] for entry in objects}:
            wrong += 1
            print(f"s3://{bucket}/{key} was not there before", file=sys.stderr)
    total = sum(map(len, EXPECTED.values()))
    print(f"Checked: {gone} of {total} objects are gone, {total - gone} are left; {wrong or 'none'} should not be so.")
    return 1 if wrong else 0


def main(arguments):
    commands = {"make": make, "rewrite": rewrite, "check": check}
    if not arguments or arguments[0] not in commands:
        sys.exit(__doc__)
    return commands[arguments[0]](connect(), *arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
