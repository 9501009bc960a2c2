"""A thousand million objects against as many references: whole, and watched while it goes."""

import json
import os
import pathlib
import subprocess
import threading
import time

from .measure import Failed
from .product import Product, bucket_of, differences
from .servers import Loopback
from .svg import lines
from .tables import megabytes, number, significant, table

TITLE = "A thousand million"
SHAPE = "hierarchical"


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


class Pump:
    """Carries the references from one pipe to the other, and counts them: a pipe tells nobody its position."""

    def __init__(self, source, sink):
        self.lines = 0
        self.thread = threading.Thread(target=self._run, args=(source, sink))
        self.thread.start()

    def _run(self, source, sink):
        try:
            while chunk := source.read(1 << 20):
                sink.write(chunk)
                self.lines += chunk.count(b"\n")
        except BrokenPipeError:
            pass  # the reader's own error says more
        source.close()
        try:
            sink.close()
        except BrokenPipeError:
            pass


def watch(bench, process, store, pump, started):
    """A sample each second, until the process ends; returns them and its resources."""
    samples = []
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return samples, usage
        try:
            sample = {"seconds": round(time.monotonic() - started, 1), "references": pump.lines, "keys": store.stats()["keys_served"],
                      "resident_bytes": resident(process.pid)}
        except (FileNotFoundError, ProcessLookupError):
            continue
        samples.append(sample)
        bench.say(f"{sample['seconds']:8.1f} s  references read {sample['references']:>13,}  keys served {sample['keys']:>13,}  "
                  f"resident {sample['resident_bytes'] / 1e6:8.1f} MB")
        time.sleep(1)


def measure(bench):
    count = bench.objects or 1_000_000_000
    with Loopback(bench.loopback, SHAPE, count, dangling=count // 1000) as store:
        product = Product(bench.binary, bench.work / "billion", store.endpoint, "bench", server="aws").fresh()
        output = (bench.work / "billion" / "output").open("w+b")
        started = time.monotonic()
        source = subprocess.Popen(store.references(), stdout=subprocess.PIPE, bufsize=0)
        process = subprocess.Popen(product.command("scan"), stdin=subprocess.PIPE, stdout=output, bufsize=0, env={**os.environ, **store.KEYS})
        pump = Pump(source.stdout, process.stdin)
        samples, usage = watch(bench, process, store, pump, started)
        wall = time.monotonic() - started
        pump.thread.join()
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
            "lists_per_1000": round(1000 * lists / count, 4), "expected": expected, "state_bytes": state, "samples": samples[::step]}


def page(figures):
    expected = figures["expected"]
    return [f"{number(figures['objects'])} generated objects (`{SHAPE}`) against {number(expected['references'])} references on standard input, once. Every count is the generator's: "
            f"{number(expected['orphans_found'])} orphans of {number(expected['orphan_bytes'])} bytes, {number(expected['dangling_references'])} dangling references.", ""] + table(
        ["wall s", "objects/s", "client CPU s", "peak MB", "bytes per reference", "lists per 1000 keys", "state on disk afterwards, MB"],
        [[number(figures["wall_seconds"]), number(figures["objects"] / figures["wall_seconds"]), significant(figures["cpu_seconds"]), megabytes(figures["peak_bytes"]),
          f"{figures['peak_bytes'] / expected['references']:.2f}", f"{figures['lists_per_1000']:.3f}", megabytes(figures["state_bytes"])]])


def plots(figures):
    samples = figures["samples"]
    if len(samples) < 2:
        return {}
    at = [s["seconds"] for s in samples]
    return {"billion-progress": lines("Progress", "seconds", "millions", {
                "references read": [(t, s["references"] / 1e6) for t, s in zip(at, samples)],
                "keys served": [(t, s["keys"] / 1e6) for t, s in zip(at, samples)]}, log_x=False, log_y=False),
            "billion-memory": lines("Resident memory", "seconds", "MB", {
                "heimdall-storage": [(t, s["resident_bytes"] / 1e6) for t, s in zip(at, samples)]}, log_x=False, log_y=False)}
