"""A thousand million objects against as many references: whole, and watched while it goes."""

import json
import os
import pathlib
import re
import select
import subprocess
import time

from .measure import Failed
from .product import Product, bucket_of, differences
from .servers import Loopback
from .svg import lines
from .tables import megabytes, number, significant, table

TITLE = "A thousand million"
SHAPE, ORPHAN_EVERY = "hierarchical", 100


def resident(pid):
    """What lies in memory, and how much of it is no page of a file, which the kernel may drop when it needs room."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()

    def field(name):
        found = re.search(rf"^{name}:\s*(\d+) kB", status, re.M)
        return int(found.group(1)) * 1024 if found else 0

    return field("VmRSS"), field("RssAnon")


def written(pid):
    """Bytes that a process has written. A pipe tells nobody its position, but who fills it is counted by the kernel."""
    try:
        return int(re.search(r"^wchar: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M).group(1))
    except (OSError, AttributeError):
        return 0


def watch(bench, process, store, source, started):
    """A sample each second, until the process ends; returns them and its resources."""
    samples, read, ended = [], 0, os.pidfd_open(process.pid)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            os.close(ended)
            process.returncode = os.waitstatus_to_exitcode(status)
            return samples, usage
        try:
            everything, anonymous = resident(process.pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if everything == 0:
            continue  # it has ended, but nobody was told yet
        read = max(read, written(source.pid))
        sample = {"seconds": round(time.monotonic() - started, 1), "reference_bytes": read, "keys": store.stats()["keys_served"],
                  "resident_bytes": everything, "anonymous_bytes": anonymous}
        samples.append(sample)
        bench.say(f"{sample['seconds']:8.1f} s  references read {read / 1e6:>10,.1f} MB  keys served {sample['keys']:>13,}  "
                  f"resident {everything / 1e6:8.1f} MB, of no file {anonymous / 1e6:8.1f} MB")
        select.select([ended], [], [], 1)


def measure(bench):
    count = bench.objects or 1_000_000_000
    with Loopback(bench.loopback, SHAPE, count, orphan_every=ORPHAN_EVERY, dangling=count // 1000) as store:
        product = Product(bench.binary, bench.work / "billion", store.endpoint, "bench", server="aws").fresh()
        output = (bench.work / "billion" / "output").open("w+b")
        started = time.monotonic()
        source = subprocess.Popen(store.references(), stdout=subprocess.PIPE)
        process = subprocess.Popen(product.command("scan"), stdin=source.stdout, stdout=output, env={**os.environ, **store.KEYS})
        source.stdout.close()
        samples, usage = watch(bench, process, store, source, started)
        wall = time.monotonic() - started
        source.wait()
        if process.returncode != 0:
            raise Failed(f"the scan failed ({process.returncode})")
        output.seek(0)
        found, expected = bucket_of(output.read()), store.expected()
        lists = store.stats()["requests"]["list"]
        state = sum(f.stat().st_size for f in (product.folder / "state").rglob("*") if f.is_file())
    wrong = differences(found, expected)
    bench.say(f"counts: {wrong or 'as generated'}: {json.dumps(expected)}")
    if wrong:
        raise Failed(f"the scan is wrong: {wrong}")
    step = max(1, len(samples) // 200)
    return {"objects": count, "wall_seconds": round(wall, 1), "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1), "peak_bytes": usage.ru_maxrss * 1024,
            "peak_anonymous_bytes": max((s["anonymous_bytes"] for s in samples), default=0),
            "lists_per_1000": round(1000 * lists / count, 4), "expected": expected, "state_bytes": state, "samples": samples[::step]}


def page(figures):
    expected = figures["expected"]
    return [f"{number(figures['objects'])} generated objects (`{SHAPE}`) against {number(expected['references'])} references on standard input, once. Every count is the generator's: "
            f"{number(expected['orphans_found'])} orphans of {number(expected['orphan_bytes'])} bytes, {number(expected['dangling_references'])} dangling references.", ""] + table(
        ["wall s", "objects/s", "client CPU s", "peak MB", "of no file, MB", "bytes per reference", "lists per 1000 keys", "state on disk afterwards, MB"],
        [[number(figures["wall_seconds"]), number(figures["objects"] / figures["wall_seconds"]), significant(figures["cpu_seconds"]), megabytes(figures["peak_bytes"]),
          megabytes(figures["peak_anonymous_bytes"]), f"{figures['peak_bytes'] / expected['references']:.2f}", f"{figures['lists_per_1000']:.3f}", megabytes(figures["state_bytes"])]])


def plots(figures):
    samples = figures["samples"]
    if len(samples) < 2:
        return {}
    at = [s["seconds"] for s in samples]
    total = samples[-1]["reference_bytes"] or 1
    return {"billion-progress": lines("Progress", "seconds", "percent", {
                "references read": [(t, 100 * s["reference_bytes"] / total) for t, s in zip(at, samples)],
                "keys served": [(t, 100 * s["keys"] / figures["objects"]) for t, s in zip(at, samples)]}, log_x=False, log_y=False),
            "billion-memory": lines("Resident memory", "seconds", "MB", {
                "all": [(t, s["resident_bytes"] / 1e6) for t, s in zip(at, samples)],
                "of no file": [(t, s["anonymous_bytes"] / 1e6) for t, s in zip(at, samples)]}, log_x=False, log_y=False)}
