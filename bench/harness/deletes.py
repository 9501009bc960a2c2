"""Deleting from a real MinIO: a sweep with its rechecks against programs that only delete."""

import itertools
import shutil
import tempfile

from . import minio, postgres
from .measure import Failed, in_turn, median, run, summary
from .product import Product, bucket_of
from .servers import Server
from .svg import bars
from .tables import megabytes, number, rounds_text, significant, table

TITLE = "Deletes in MinIO"
KEPT = "kept/by-a-row.npy"


def measure(bench):
    count = bench.pick(5_000, 100_000)
    numbers = itertools.count()
    data = bench.work / "minio-deletes"
    shutil.rmtree(data, ignore_errors=True)  # of a run that was ended
    with Server(bench.top, "minio", data) as store, Server(bench.top, "postgresql") as database, tempfile.NamedTemporaryFile("w+") as names:
        endpoint, keys, url = store.facts["endpoint"], store.keys(), database.facts["url"]
        names.writelines(key + "\n" for key in minio.keys(count))
        names.flush()
        postgres.make_rows(url, [KEPT])
        mc = {**keys, "MC_CONFIG_DIR": str(bench.work / "mc"), "MC_HOST_bench": endpoint.replace("://", f"://{keys['AWS_ACCESS_KEY_ID']}:{keys['AWS_SECRET_ACCESS_KEY']}@")}

        def on_a_copy(name, program):
            def once():
                bucket = f"deletes-{next(numbers)}"
                minio.make_objects(store.facts, bucket, itertools.chain(minio.keys(count), [KEPT]), count)
                figures = program(bucket)
                left = minio.client(store.facts).list_objects_v2(Bucket=bucket, MaxKeys=10).get("Contents", [])
                if [item["Key"] for item in left] != [KEPT]:
                    raise Failed(f"{name} left something, or took what was to stay")
                bench.say(f"  {name}: {count / figures['wall']:,.0f} objects/s")
                return figures
            return once

        def apply(bucket):
            product = Product(bench.binary, bench.work / "deletes", endpoint, bucket, 'database: main, query: "SELECT storage_path FROM samples", as: key',
                              server="minio", database=url, mode="delete").fresh()
            plan = product.folder / "plan"
            plan.unlink(missing_ok=True)
            run(product.command("plan", "--ignore-grace", "-o", plan), environment=keys)
            figures = run(product.command("apply", plan), environment=keys, keep_output=True)
            deleted = bucket_of(figures.pop("output"))["orphans_deleted"]
            if deleted != count:
                raise Failed(f"{deleted} objects deleted instead of {count}")
            return figures

        def boto3(threads):
            return lambda bucket: run(["/usr/bin/python3", bench.top / "bench/remove_with_boto3.py", endpoint, bucket, threads], environment=keys,
                                      stdin=open(names.name))

        programs = {
            "heimdall-storage apply": apply,
            "s5cmd rm": lambda bucket: run([bench.tool("s5cmd"), "--endpoint-url", endpoint, "rm", f"s3://{bucket}/synthetic/*"], environment=keys),
            "mc rm -r --force": lambda bucket: run([bench.tool("mc"), "rm", "-r", "--force", f"bench/{bucket}/synthetic/"], environment=mc),
            **{f"boto3 delete_objects, {threads} thread{'s' * (threads > 1)}": boto3(threads) for threads in (1, 2, 4, 8)},
        }
        runs = in_turn({name: on_a_copy(name, program) for name, program in programs.items()}, bench.pick(1, bench.rounds))
    shutil.rmtree(data)
    return {"objects": count, "programs": [{"program": name, **summary(r), "objects_per_second": int(count / median(r, "wall"))} for name, r in runs.items()]}


def page(figures):
    programs = figures["programs"]
    return [f"{number(figures['objects'])} objects of 64 bytes, a fresh copy for each run, one MinIO of one drive on the same CPUs; {rounds_text(programs[0]['rounds'])}. `apply` looks each object up once more in "
            "PostgreSQL and in the store, and keeps a journal; boto3 is given the keys; the others list them.", ""] + table(
        ["program", "wall s", "client CPU s", "peak MB", "objects/s"],
        [[p["program"], significant(p["wall_seconds"]), significant(p["cpu_seconds"]), megabytes(p["peak_bytes"]), number(p["objects_per_second"])]
         for p in programs])


def plots(figures):
    return {"deletes": bars(f"{figures['objects']:,} objects deleted from MinIO", "objects per second",
                            [(p["program"], p["objects_per_second"]) for p in figures["programs"]])}
