"""A store that is far away: each page takes 100 ms, whatever is on it."""

from . import generated
from .measure import median, summary
from .servers import Loopback
from .svg import lines
from .tables import number, rounds_text, significant, table

TITLE = "Latency"
PAGE_SECONDS = 0.1
MOST = 10_000_000
# So many per request at one time: a serial list of ten million takes a quarter of an hour, and tells no more.
KEYS_PER_REQUEST = 300_000


def measure(bench):
    rows = []
    for in_flight in bench.pick([4, 16, 64], [1, 2, 4, 8, 16, 32, 64, 128, 256]):
        count = bench.pick(1_000_000, min(MOST, in_flight * KEYS_PER_REQUEST))
        with Loopback(bench.loopback, "hierarchical", count, "--latency-ms", int(PAGE_SECONDS * 1000)) as store:
            runs = [generated.scan(bench, store, in_flight=in_flight) for _ in range(bench.pick(1, bench.rounds))]
        per_second = count / median(runs, "wall")
        rows.append({"in_flight": in_flight, "objects": count, **summary(runs), "most_in_flight": max(r["most_in_flight"] for r in runs),
                     "objects_per_second": int(per_second), "share": round(per_second / (in_flight * 1000 / PAGE_SECONDS), 3),
                     "listing_share": round(count / median(runs, "list_seconds") / (in_flight * 1000 / PAGE_SECONDS), 3)})
        bench.say(f"  {in_flight} in flight: {rows[-1]['share']:.0%} of what is possible, {rows[-1]['listing_share']:.0%} from the first list to the last")
    return {"rows": rows}


def page(figures):
    rows = figures["rows"]
    return [f"Generated objects (`hierarchical`), {PAGE_SECONDS * 1000:.0f} ms per page, `in_flight` as configured; {rounds_text(rows[0]['rounds'])}. Possible are in_flight * 1000 keys per "
            f"{PAGE_SECONDS} s; of the whole run, with its start and some ten requests beside, and "
            "from the first list to the last.", ""] + table(
        ["in_flight", "objects", "wall s", "objects/s", "share of possible", "listing alone", "most at one time"],
        [[r["in_flight"], number(r["objects"]), significant(r["wall_seconds"]), number(r["objects_per_second"]), f"{r['share']:.0%}", f"{r['listing_share']:.0%}", r["most_in_flight"]] for r in rows])


def plots(figures):
    rows = figures["rows"]
    return {"latency": lines("100 ms per page", "requests in flight", "objects per second", {
        "scan": [(r["in_flight"], r["objects_per_second"]) for r in rows],
        "possible": [(r["in_flight"], r["in_flight"] * 1000 / PAGE_SECONDS) for r in rows]},
        x_ticks=[r["in_flight"] for r in rows])}
