"""Memory grows with the references, by a stated amount, and with nothing else (invariant 11)."""

import sys

from world import *

REFERENCES = 2_000_000
MEGABYTE = 1_000_000


# A process counts the memory of the one it was forked from, and this one is large: the program is started by a small one.
MEASURE = "import os, sys; pid = os.spawnv(os.P_NOWAIT, sys.argv[2], sys.argv[2:]); status, usage = os.wait4(pid, 0)[1:]; " \
          "open(sys.argv[1], 'w').write(str(usage.ru_maxrss * 1024)); sys.exit(os.waitstatus_to_exitcode(status))"


# Invariant 11. The promise is 100 MB and 10 bytes per reference; half of the 100 MB would already be a surprise.
def test_memory_grows_by_at_most_ten_bytes_per_reference(world):
    world.put("live/0", "orphan")
    world.bucket["references"] = [{"list": "keys", "as": "key", "min_match_rate": 0}]
    with open(world.root / "keys", "w") as keys:
        keys.writelines(f"live/{i}\n" for i in range(REFERENCES))
    peak_file = world.root / "peak"
    world.run("scan", wrapper=[sys.executable, "-S", "-c", MEASURE, peak_file]).expect(OK)
    peak = int(peak_file.read_text())
    assert peak > 8 * REFERENCES, f"{peak} bytes: what was measured?"
    assert peak <= 50 * MEGABYTE + 10 * REFERENCES, f"{peak} bytes"
