"""Listing a bucket of a real MinIO: a whole scan against programs that only list."""

import tempfile

from . import minio, postgres
from .measure import in_turn, median, median_ratio, run, summary
from .product import Product, bucket_of
from .servers import Server
from .svg import bars
from .tables import megabytes, number, rounds_text, significant, table

TITLE = "A bucket in MinIO, references in PostgreSQL"
BUCKET = "heimdall-synthetic-iq"
QUERY = "SELECT storage_path FROM samples"
OURS, S5CMD, ONE_STREAM = "heimdall-storage scan", "s5cmd ls", "do-nothing, one stream"
ORPHAN_EVERY = 10


def streams(count, keys_per_page=1000):
    """Every page as a request of its own, each bound to its data set: what a client can ask for that knows all keys."""
    names = sorted(minio.keys(count))
    lines, previous, place = [], "", 0
    for key in names:
        dataset = key[:key.index("/", len("synthetic/")) + 1]
        place = place + 1 if previous.startswith(dataset) else 0
        if place % keys_per_page == 0:
            lines.append(f"{dataset}\t{previous if place else ''}\t1\n")
        previous = key
    return "".join(lines)


def measure_size(bench, count, store, database):
    bench.say(f"making {count:,} objects in MinIO, and as many rows")
    bucket = f"{BUCKET}-{count}"
    minio.make_objects(store.facts, bucket, minio.keys(count), count)
    postgres.make_rows(database.facts["url"], (key if i % ORPHAN_EVERY else f"gone/{i}.npy" for i, key in enumerate(minio.keys(count))))
    endpoint, keys = store.facts["endpoint"], store.keys()
    product = Product(bench.binary, bench.work / "listing", endpoint, bucket, f'database: main, query: "{QUERY}"', server="minio",
                      database=database.facts["url"])
    mc = {**keys, "MC_CONFIG_DIR": str(bench.work / "mc"), "MC_HOST_bench": endpoint.replace("://", f"://{keys['AWS_ACCESS_KEY_ID']}:{keys['AWS_SECRET_ACCESS_KEY']}@")}
    rclone = {**keys, "RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_BENCH_TYPE": "s3", "RCLONE_CONFIG_BENCH_PROVIDER": "Minio",
              "RCLONE_CONFIG_BENCH_ENV_AUTH": "true", "RCLONE_CONFIG_BENCH_ENDPOINT": endpoint,
              "AWS_CA_BUNDLE": ""}  # rclone 1.60 fails where it is set
    paged = tempfile.NamedTemporaryFile("w+")
    paged.write(streams(count))
    paged.flush()

    def scan():
        figures = run(product.fresh().command("scan"), environment=keys, keep_output=True)
        found = bucket_of(figures.pop("output"))
        orphans = -(-count // ORPHAN_EVERY)
        if (found["total_objects"], found["orphans_found"]) != (count, orphans):
            bench.fail(f"the scan is wrong: {found}")
        return figures

    def nothing(workers, text):
        command = [bench.do_nothing, "--endpoint", endpoint, "--bucket", bucket, "--workers", workers]
        return run(command, environment=keys, stdin=open(paged.name)) if text is None else run(command, environment=keys, producer=["printf", text])

    programs = {
        OURS: scan,
        S5CMD: lambda: run([bench.tool("s5cmd"), "--endpoint-url", endpoint, "ls", f"s3://{bucket}/*"], environment=keys),
        "mc ls -r": lambda: run([bench.tool("mc"), "ls", "-r", f"bench/{bucket}"], environment=mc),
        "rclone lsf -R --fast-list": lambda: run([bench.tool("rclone"), "lsf", "-R", "--fast-list", f"bench:{bucket}"], environment=rclone),
        "the platform's algorithm": lambda: run(["/usr/bin/python3", bench.top / "bench/platform_algorithm.py", endpoint, bucket, database.facts["url"], QUERY],
                                                environment=keys),
        ONE_STREAM: lambda: nothing(1, "\\t\\t0\\n"),
        "do-nothing, 2 pages at once": lambda: nothing(2, None),
        "do-nothing, 4 pages at once": lambda: nothing(4, None),
    }

    def counted(name, program):
        def with_requests():
            before = minio.requests(store.facts)
            figures = program()
            figures["requests"] = minio.requests(store.facts) - before
            bench.say(f"  {name}: {figures['wall']:.2f} s")
            return figures
        return with_requests

    nothing(1, "\\t\\t0\\n")  # MinIO reads a file per object, the first time from the disk: whoever came first would pay
    runs = in_turn({name: counted(name, program) for name, program in programs.items()}, bench.rounds)
    best = min((name for name in runs if name.startswith("do-nothing")), key=lambda name: median(runs[name], "wall"))
    return {"objects": count, "programs": [{"program": name, **summary(r), "requests": median(r, "requests"),
                                            "objects_per_second": int(count / median(r, "wall"))} for name, r in runs.items()],
            "wall_to_s5cmd": round(median_ratio(runs[OURS], runs[S5CMD], "wall"), 3), "cpu_to_s5cmd": round(median_ratio(runs[OURS], runs[S5CMD], "cpu"), 3),
            "best_do_nothing": best, "share_of_do_nothing": round(median_ratio(runs[best], runs[OURS], "wall"), 3)}


def measure(bench):
    with Server(bench.top, "minio", bench.work / "minio") as store, Server(bench.top, "postgresql") as database:
        return {"sizes": [measure_size(bench, count, store, database) for count in bench.pick([20_000], [100_000, 1_000_000])]}


def page(figures):
    lines = []
    for size in figures["sizes"]:
        programs = size["programs"]
        lines += [f"**{number(size['objects'])} objects**, one MinIO of one drive on the same CPUs; {rounds_text(programs[0]['rounds'])}. "
                  "Our scan reads as many references from PostgreSQL and compares; the platform's algorithm does so, too; the others only list.", ""]
        lines += table(["program", "wall s", "client CPU s", "peak MB", "objects/s", "requests"],
                       [[p["program"], significant(p["wall_seconds"]), significant(p["cpu_seconds"]), megabytes(p["peak_bytes"]),
                         number(p["objects_per_second"]), number(p["requests"])] for p in programs])
        lines += [f"Scan to `s5cmd ls`: wall {size['wall_to_s5cmd']:.2f}, client CPU {size['cpu_to_s5cmd']:.3f}. It gets "
                  f"{size['share_of_do_nothing']:.0%} of what the fastest client that does nothing gets ({size['best_do_nothing']}).", ""]
    return lines


def plots(figures):
    size = figures["sizes"][-1]
    return {"listing": bars(f"{size['objects']:,} objects in MinIO: time to the end", "seconds",
                            [(p["program"], p["wall_seconds"]) for p in size["programs"]])}
