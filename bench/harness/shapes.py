"""Buckets of other shapes: what the listing costs where names lie badly."""

from . import generated
from .measure import in_turn, median, median_ratio, summary
from .servers import Loopback
from .svg import bars
from .tables import number, rounds_text, significant, table

TITLE = "Shapes"
SHAPES = {"flat": "one level of uuids", "hierarchical": "data sets, samples, 5 files each", "skewed": "1000 directories; sizes by a power law, the largest has 60 %",
          "giant": "one directory with all but some thousand", "adversarial": "2500 siblings `D-...`, `D....` beside each `D/`; names to be encoded"}
WORKERS = 4


def measure(bench):
    count = bench.pick(300_000, 10_000_000)
    rows = []
    for shape in SHAPES:
        with Loopback(bench.loopback, shape, count) as store:
            runs = in_turn({"scan": lambda: generated.scan(bench, store), "nothing": lambda: generated.do_nothing(bench, store, WORKERS)}, bench.rounds)
        scans = runs["scan"]
        rows.append({"shape": shape, **summary(scans), "objects_per_second": int(count / median(scans, "wall")),
                     "lists_per_1000": round(1000 * median(scans, "lists") / count, 4), "keys_served": median(scans, "keys_served"),
                     "do_nothing_per_second": int(count / median(runs["nothing"], "wall")),
                     "wall_to_do_nothing": round(median_ratio(scans, runs["nothing"], "wall"), 2)})
        bench.say(f"  {shape}: {rows[-1]['objects_per_second']:,} objects/s")
    return {"objects": count, "rows": rows, "workers": WORKERS}


def page(figures):
    return [f"{number(figures['objects'])} generated objects each, as many references on standard input; {rounds_text(figures['rows'][0]['rounds'])}. The client that does nothing reads the "
            f"same pages with {figures['workers']} requests at one time, and knows all keys beforehand; the scan has to read and compare the references besides.", ""] + table(
        ["shape", "is", "lists per 1000 keys", "objects/s", "does nothing: keys/s", "wall s", "client CPU s"],
        [[r["shape"], SHAPES[r["shape"]], f"{r['lists_per_1000']:.3f}", number(r["objects_per_second"]), number(r["do_nothing_per_second"]),
          significant(r["wall_seconds"]), significant(r["cpu_seconds"])] for r in figures["rows"]])


def plots(figures):
    return {"shapes": bars(f"Lists per 1000 keys, {figures['objects']:,} objects", "requests",
                           [(r["shape"], r["lists_per_1000"]) for r in figures["rows"]])}
