"""What one core of the client takes, from the wire to the verdict."""

import os

from . import generated
from .measure import in_turn, median, summary
from .servers import Loopback
from .tables import megabytes, number, rounds_text, significant, table

TITLE = "One core"
CLIENT, SERVER = 0, 1  # CPUs


def measure(bench):
    if os.cpu_count() < 2:
        bench.fail("one core for the client and one for the server: this machine has one")
    count = bench.pick(1_000_000, 10_000_000)
    with Loopback(bench.loopback, "hierarchical", count, cpu=SERVER) as store:
        runs = in_turn({"scan": lambda: generated.scan(bench, store, cpu=CLIENT), "do-nothing": lambda: generated.do_nothing(bench, store, 2, cpu=CLIENT)},
                       bench.rounds)
    return {"objects": count, "programs": [{"program": name, **summary(r), "per_cpu_second": int(count / median(r, "cpu")),
                                            "per_second": int(count / median(r, "wall"))} for name, r in runs.items()]}


def page(figures):
    programs = figures["programs"]
    return [f"{number(figures['objects'])} generated objects and as many references, no latency; the client is bound to one CPU, the server to another; {rounds_text(programs[0]['rounds'])}. "
            "The scan's CPU time has the reading of the references and the kernel's share in it.", ""] + table(
        ["program", "wall s", "client CPU s", "peak MB", "objects per CPU second", "objects/s"],
        [[p["program"], significant(p["wall_seconds"]), significant(p["cpu_seconds"]), megabytes(p["peak_bytes"]), number(p["per_cpu_second"]),
          number(p["per_second"])] for p in programs])


def plots(_):
    return {}
