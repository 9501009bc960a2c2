"""Objects in MinIO, made by the thousand, and how many requests it counted."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import shutil
import time
import urllib.request
import uuid

OLD = "2025-10-01T00:00:00Z"


def keys(count):
    """As the platform has them: data sets of 5000 files, 5 to a sample."""
    for i in range(count):
        dataset = uuid.UUID(bytes=hashlib.md5(str(i // 5000).encode()).digest())
        yield f"synthetic/{dataset}/sample-{i % 5000 // 5}/rx_{i % 5}.npy"


def client(facts, connections=16):
    # Here, so that bench/run can be asked for help, and install, before they are there.
    import boto3
    import botocore.config

    return boto3.client("s3", endpoint_url=facts["endpoint"], region_name="us-east-1", aws_access_key_id=facts["access_key"],
                        aws_secret_access_key=facts["secret_key"],
                        config=botocore.config.Config(s3={"addressing_style": "path"}, proxies={}, max_pool_connections=connections))


def _add_age(request, **_):
    """MinIO takes the date of a replica from whoever may replicate (root may)."""
    request.headers["X-Minio-Source-Mtime"] = OLD
    request.headers["X-Minio-Source-Replication-Request"] = "true"
    request.headers["X-Amz-Bucket-Replication-Status"] = "REPLICA"


def make_objects(facts, bucket, names, count):
    """A bucket of `count` old objects of 64 bytes. MinIO keeps a small one in a single file, which is copied: a hundred thousand take seconds. Does
    nothing if the bucket was made before."""
    root = pathlib.Path(facts["data"]) / "objects" / bucket
    done = pathlib.Path(facts["data"]) / f"{bucket}-{count}.made"
    if done.exists():
        return
    s3 = client(facts)
    shutil.rmtree(root, ignore_errors=True)
    try:
        s3.create_bucket(Bucket=bucket)
    except s3.exceptions.BucketAlreadyOwnedByYou:
        root.mkdir(exist_ok=True)
    s3.meta.events.register("before-sign.s3.PutObject", _add_age)
    s3.put_object(Bucket=bucket, Key="seed", Body=b"x" * 64)
    meta = (root / "seed/xl.meta").read_bytes()
    shutil.rmtree(root / "seed")
    for key in names:
        folder = f"{root}/{key}"
        os.makedirs(folder)
        file = os.open(folder + "/xl.meta", os.O_CREAT | os.O_WRONLY, 0o644)
        os.write(file, meta)
        os.close(file)
    done.touch()


def _token(facts):
    """What `mc admin prometheus generate` prints."""
    def encoded(data):
        return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=")

    text = encoded({"alg": "HS512", "typ": "JWT"}) + b"." + encoded({"sub": facts["access_key"], "iss": "prometheus", "exp": int(time.time()) + 600})
    return (text + b"." + encoded(hmac.new(facts["secret_key"].encode(), text, hashlib.sha512).digest())).decode()


def requests(facts):
    """All requests of the S3 API that MinIO counted."""
    call = urllib.request.Request(facts["endpoint"] + "/minio/metrics/v3/api/requests", headers={"Authorization": "Bearer " + _token(facts)})
    text = urllib.request.urlopen(call).read().decode()
    return int(sum(float(n) for n in re.findall(r"^minio_api_requests_total\{[^}]*\} (\S+)", text, re.M)))
