#!/usr/bin/env python3
"""What the platform's own clean-up task did, as a yardstick: list the bucket into a dict, read the keys into a set, subtract.

    platform_algorithm.py ENDPOINT BUCKET DATABASE-URL QUERY        (keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)

It deletes nothing. Needs boto3 and psycopg2. Prints {"objects", "references", "orphans"}.
"""

import json
import os
import sys

import boto3
import botocore.config
import psycopg2


def main():
    endpoint, bucket, url, query = sys.argv[1:]
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
                      aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
                      config=botocore.config.Config(s3={"addressing_style": "path"}, proxies={}))
    objects = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            objects[item["Key"]] = {"size": item["Size"], "last_modified": item["LastModified"]}
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        references = {row[0] for row in cursor.fetchall() if row[0]}
    orphans = set(objects) - references
    print(json.dumps({"objects": len(objects), "references": len(references), "orphans": len(orphans)}))


if __name__ == "__main__":
    main()
