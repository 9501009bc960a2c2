"""How time and memory grow with the bucket, from thousands to millions of objects."""

import math

from . import generated
from .measure import median, summary
from .servers import Loopback
from .svg import lines
from .tables import megabytes, number, rounds_text, significant, table

TITLE = "Growth"


def exponent(points):
    """b of y = a * x^b: least squares of the logarithms."""
    xs, ys = zip(*((math.log(x), math.log(y)) for x, y in points))
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys)) / sum((a - x) ** 2 for a in xs)


def measure(bench):
    rows = []
    for count in bench.pick([10_000, 100_000, 1_000_000], [10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]):
        with Loopback(bench.loopback, "hierarchical", count, dangling=count // 100) as store:
            runs = [generated.scan(bench, store) for _ in range(bench.rounds)]
        rows.append({"objects": count, **summary(runs), "lists_per_1000": round(1000 * median(runs, "lists") / count, 4)})
        bench.say(f"  {count:,}: {rows[-1]['wall_seconds']} s")
    # Starting and opening state takes a while that no bucket is too small for.
    large = [(row["objects"], row["wall_seconds"]) for row in rows if row["objects"] >= 100_000]
    return {"rows": rows, "exponent": round(exponent(large), 3)}


def page(figures):
    rows = figures["rows"]
    return [f"Generated objects (`hierarchical`), as many references on standard input, one tenth orphans; {rounds_text(rows[0]['rounds'])}. Every count is compared with "
            f"the generator's. From 100,000 objects on, time grows with the {figures['exponent']:.2f}th power of their number (least squares of the logarithms).", ""] + table(
        ["objects", "wall s", "client CPU s", "peak MB", "objects/s", "lists per 1000 keys"],
        [[number(r["objects"]), significant(r["wall_seconds"]), significant(r["cpu_seconds"]), megabytes(r["peak_bytes"]),
          number(r["objects"] / r["wall_seconds"]), f"{r['lists_per_1000']:.3f}"] for r in rows])


def plots(figures):
    rows = figures["rows"]
    first = rows[-1]
    ideal = [(r["objects"], first["wall_seconds"] * r["objects"] / first["objects"]) for r in rows if r["objects"] >= first["objects"] / 1000]
    return {"growth-time": lines("Time of a whole scan", "objects, as many references", "seconds",
                                 {"scan": [(r["objects"], r["wall_seconds"]) for r in rows], "proportional": ideal}),
            "growth-memory": lines("Peak memory of a whole scan", "objects, as many references", "MB",
                                   {"scan": [(r["objects"], r["peak_bytes"] / 1e6) for r in rows]})}
