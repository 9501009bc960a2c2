#!/usr/bin/env python3
"""docs/operations.md says what each event of the log means, and of none that is not there. Usage: log_events.py SOURCE_DIR"""
import re
import sys
from pathlib import Path

# log.info("service.ready", ...), log_.write(level, "run.ended", ...), and of a run: say(run_id, level, "run.started", ...)
WRITTEN = re.compile(r'\b(?:log\w*(?:\(\))?\.(?:debug|info|warning|error|write)\((?:\w+,\s*)?|say\([^;"]*)"([a-z_]+\.[a-z_]+)"')
LISTED = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \|", re.M)


def main(source_dir):
    root = Path(source_dir)
    written = set()
    for path in sorted((root / "src").rglob("*.cc")):
        if not path.name.endswith("_test.cc"):
            written |= set(WRITTEN.findall(path.read_text()))
    # Sent by the log itself.
    written |= set(re.findall(r'line\(\w+::\w+, "([a-z_]+\.[a-z_]+)"', (root / "src/base/line_log.cc").read_text()))
    # One for each outcome, out of a table.
    written |= set(re.findall(r'return \{"(object\.[a-z_]+)"', (root / "src/daemon/logged_journal.cc").read_text()))
    listed = set(LISTED.findall((root / "docs/operations.md").read_text()))
    findings = [f"docs/operations.md does not say what {event} means" for event in sorted(written - listed)]
    findings += [f"docs/operations.md has {event}, which nothing writes" for event in sorted(listed - written)]
    print("\n".join(findings) or f"{len(written)} events are described")
    return 1 if findings or not written else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
