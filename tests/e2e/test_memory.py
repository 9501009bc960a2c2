"""Memory grows with the references, by a stated amount, and with nothing else (invariant 11)."""

import os

from world import *

REFERENCES = 2_000_000
MEGABYTE = 1_000_000


def peak_bytes(process):
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * 1024


# Invariant 11. The promise is 100 MB and 10 bytes per reference; half of the 100 MB would already be a surprise.
def test_memory_grows_by_at_most_ten_bytes_per_reference(world):
    world.put("live/0", "orphan")
    world.bucket["references"] = [{"list": "keys", "as": "key", "min_match_rate": 0}]
    with open(world.root / "keys", "w") as keys:
        keys.writelines(f"live/{i}\n" for i in range(REFERENCES))
    process = world.start("scan").popen
    process.stdout.close()
    process.stderr.close()
    peak = peak_bytes(process)
    assert process.returncode == OK
    assert peak <= 50 * MEGABYTE + 10 * REFERENCES, f"{peak} bytes"
