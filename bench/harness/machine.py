"""What the figures were measured on. The class of the machine, not which one it is."""

import os
import pathlib
import re
import subprocess


def facts():
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpuinfo)
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {"cpus": os.cpu_count(), "cpu": model.group(1).strip() if model else "unknown",
            "memory_gib": round(int(memory.group(1)) / 2**20) if memory else 0,
            "kernel": ".".join(os.uname().release.split(".")[:2]), "load_before": round(os.getloadavg()[0], 1)}


def text(machine):
    return (f"{machine['cpus']} CPUs ({machine['cpu']}), {machine['memory_gib']} GiB, Linux {machine['kernel']}; "
            f"load before the run {machine['load_before']}")


def commit(top):
    found = subprocess.run(["git", "-C", top, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"
