"""References in PostgreSQL: a whole scan against COPY into nothing."""

import subprocess
import tempfile

from .measure import Failed, in_turn, median, run, summary
from .product import Product, bucket_of
from .servers import Loopback, Server
from .svg import bars
from .tables import megabytes, number, rounds_text, significant, table

TITLE = "References from PostgreSQL"
OBJECTS = 1000
COPY = "psql COPY to /dev/null"


def _psql(url, statement, **more):
    return subprocess.Popen(["psql", "-qX", url, "-v", "ON_ERROR_STOP=1", "-c", statement], **more)


def begin_rows(url):
    """A fresh table `samples (id, storage_path)`, and a process that copies lines into the second column."""
    if _psql(url, "SET client_min_messages = warning; DROP TABLE IF EXISTS samples; CREATE TABLE samples (id bigserial PRIMARY KEY, storage_path text NOT NULL)").wait() != 0:
        raise Failed("psql failed")
    return ["psql", "-qX", url, "-v", "ON_ERROR_STOP=1", "-c", r"COPY samples (storage_path) FROM STDIN"]


def end_rows(url):
    if _psql(url, "VACUUM ANALYZE samples").wait() != 0:
        raise Failed("psql failed")


def make_rows(url, keys):
    copy = subprocess.Popen(begin_rows(url), stdin=subprocess.PIPE, text=True)
    for key in keys:
        copy.stdin.write(key + "\n")
    copy.stdin.close()
    if copy.wait() != 0:
        raise Failed("psql failed")
    end_rows(url)


def measure(bench):
    count = bench.pick(500_000, 10_000_000)
    # On a disk, and below directories that PostgreSQL's own user may pass.
    with (tempfile.TemporaryDirectory(prefix="heimdall-bench.", dir="/var/tmp") as data, Server(bench.top, "postgresql", data) as database,
          Loopback(bench.loopback, "hierarchical", OBJECTS) as store):
        url = database.facts["url"]
        bench.say(f"making {count:,} rows")
        names = subprocess.Popen([bench.loopback, "references", "--shape", "hierarchical", "--count", str(count), "--orphan-every", "0"],
                                 stdout=subprocess.PIPE)
        if subprocess.run(begin_rows(url), stdin=names.stdout).returncode != 0 or names.wait() != 0:
            raise Failed("psql failed")
        end_rows(url)

        def scan(name, references):
            product = Product(bench.binary, bench.work / "postgres" / name, store.endpoint, "bench", references, server="aws", database=url)

            def once():
                figures = run(product.fresh().command("scan"), environment=store.KEYS, keep_output=True)
                found = bucket_of(figures.pop("output"))
                if found["references"] != count:
                    bench.fail(f"{found['references']} references instead of {count}")
                return figures
            return once

        runs = in_turn({
            COPY: lambda: run(["psql", "-qX", url, "-c", "COPY (SELECT storage_path FROM samples) TO STDOUT"]),
            "scan, table and column": scan("column", "database: main, table: samples, column: storage_path, as: key"),
            "scan, query": scan("query", 'database: main, query: "SELECT storage_path FROM samples", as: key'),
        }, bench.rounds)
    return {"references": count, "objects": OBJECTS, "programs": [{"program": name, **summary(r), "rows_per_second": int(count / median(r, "wall"))}
                                                                  for name, r in runs.items()]}


def page(figures):
    programs = figures["programs"]
    return [f"{number(figures['references'])} rows; whole scans of a bucket of {number(figures['objects'])} objects; {rounds_text(programs[0]['rounds'])}. "
            "The server's CPU is not counted.", ""] + table(
        ["program", "wall s", "client CPU s", "peak MB", "rows/s", "wall to COPY"],
        [[p["program"], significant(p["wall_seconds"]), significant(p["cpu_seconds"]), megabytes(p["peak_bytes"]), number(p["rows_per_second"]),
          f"{p['wall_seconds'] / programs[0]['wall_seconds']:.2f}"] for p in programs])


def plots(figures):
    return {"postgresql": bars(f"{figures['references']:,} references read from PostgreSQL", "rows per second",
                               [(p["program"], p["rows_per_second"]) for p in figures["programs"]])}
