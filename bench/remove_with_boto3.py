#!/usr/bin/env python3
"""Deletes the keys on standard input by delete_objects, 1000 at a time, with some threads. A yardstick for `heimdall-storage apply`.

    remove_with_boto3.py ENDPOINT BUCKET THREADS        (keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)
"""

import concurrent.futures
import os
import sys

import boto3
import botocore.config


def main():
    endpoint, bucket, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
                      aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
                      config=botocore.config.Config(s3={"addressing_style": "path"}, proxies={}, max_pool_connections=threads))
    keys = sys.stdin.read().splitlines()

    def remove(begin):
        batch = [{"Key": key} for key in keys[begin:begin + 1000]]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        if answer.get("Errors"):
            sys.exit(f"not deleted: {answer['Errors'][0]}")

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(remove, range(0, len(keys), 1000)))


if __name__ == "__main__":
    main()
