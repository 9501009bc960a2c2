"""Runs a program and measures it alone: wall time, CPU and memory of that child."""

import json
import os
import statistics
import subprocess
import sys
import tempfile

# A process counts the memory of the one it was forked from, so a small one starts what is measured.
STARTER = """
import json, os, sys, time
started = time.monotonic()
pid = os.spawnvp(os.P_NOWAIT, sys.argv[2], sys.argv[2:])
status, usage = os.wait4(pid, 0)[1:]
figures = {"wall": time.monotonic() - started, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * 1024}
open(sys.argv[1], "w").write(json.dumps(figures))
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


class Failed(Exception):
    pass


def run(command, *, environment=None, stdin=None, producer=None, cpu=None, keep_output=False):
    """{"wall", "cpu", "rss"} and, if kept, "output" (bytes). `producer`: a command whose output is the program's input; `cpu`: the one it is
    bound to. Raises Failed with the end of its errors."""
    command = [str(word) for word in (["taskset", "-c", str(cpu), *command] if cpu is not None else command)]
    environment = {**os.environ, **(environment or {})}
    feeding = subprocess.Popen([str(word) for word in producer], stdout=subprocess.PIPE) if producer else None
    with tempfile.NamedTemporaryFile() as figures, tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        process = subprocess.Popen([sys.executable, "-S", "-c", STARTER, figures.name, *command], env=environment, stderr=errors,
                                   stdin=feeding.stdout if feeding else stdin or subprocess.DEVNULL,
                                   stdout=output if keep_output else subprocess.DEVNULL)
        if feeding:
            feeding.stdout.close()
        status = process.wait()
        if feeding and feeding.wait() != 0 and status == 0:
            raise Failed(f"{producer[0]} failed")
        output.seek(0)
        errors.seek(0)
        said = output.read()
        if status != 0:
            raise Failed(f"{' '.join(command)} failed ({status}): {errors.read().decode(errors='replace')[-1500:]}{said.decode(errors='replace')[-500:]}")
        return {**json.load(open(figures.name)), **({"output": said} if keep_output else {})}


def median(runs, field):
    return statistics.median(run[field] for run in runs)


def median_ratio(runs, others, field):
    """Neighbours in time saw the same machine, so ratios are taken per round."""
    return statistics.median(a[field] / b[field] for a, b in zip(runs, others))


def summary(runs):
    return {"wall_seconds": round(median(runs, "wall"), 3), "cpu_seconds": round(median(runs, "cpu"), 3),
            "peak_bytes": int(max(r["rss"] for r in runs)), "rounds": len(runs)}


def in_turn(programs, rounds):
    """Runs each of {name: function that returns figures} in turn, `rounds` times: {name: [figures]}. A busy machine slows all of them."""
    results = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            results[name].append(program())
    return results
