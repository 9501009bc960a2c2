#!/usr/bin/env python3
"""Scans generated buckets of each shape over HTTP, with their references on standard input, and compares every count with the generator's.

    check_scan.py HEIMDALL_STORAGE HEIMDALL_LOOPBACK [--count 20000]
"""

import argparse
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness.measure import run  # noqa: E402
from harness.product import Product, bucket_of, differences  # noqa: E402
from harness.servers import Loopback  # noqa: E402

SHAPES = ("flat", "hierarchical", "skewed", "giant", "adversarial")


def check(options, shape, folder):
    with Loopback(options.loopback, shape, options.count, dangling=77) as server:
        product = Product(options.binary, folder / shape, server.endpoint, "bench")
        output = run(product.command("scan"), environment=server.KEYS, producer=server.references(), keep_output=True)["output"]
        return differences(bucket_of(output), server.expected())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("loopback", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=20_000)
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="heimdall-loopback.") as folder:
        for shape in SHAPES:
            found = check(options, shape, pathlib.Path(folder))
            print(f"{shape}: {found or 'as generated'}")
            wrong += bool(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
