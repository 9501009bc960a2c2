#!/usr/bin/env python3
"""The unit has no error, and is at most 1.5 exposed, as systemd-analyze counts. Usage: systemd_unit.py SOURCE_DIR [PROGRAM]

Exits with 77 where there is no systemd-analyze.
"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MOST_EXPOSED = 1.5
NAME = "heimdall-storage.service"


def analyze(*arguments):
    said = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)
    return said.returncode, said.stdout + said.stderr


def findings_in(unit, document):
    text = unit.read_text()
    if "ProcSubset=pid" in re.sub(r"^#.*$", "", text, flags=re.M):
        yield "ProcSubset=pid hides the boot's id, without which a clock step cannot be told from a restart"
    with tempfile.TemporaryDirectory() as folder:
        # A program that is there, so that only the unit is judged.
        copy = Path(folder) / NAME
        copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.M))
        status, said = analyze("verify", "--man=no", str(copy))
        about_us = [line for line in said.splitlines() if NAME in line]
        if status != 0 or about_us:
            yield f"systemd-analyze verify: {said.strip()}"
        status, said = analyze("security", "--offline=true", "--no-pager", str(copy))
    score = re.search(r"exposure level for \S+: (\d+\.\d)", said)
    if status != 0 or score is None:
        yield f"systemd-analyze security: {said.strip()[-1000:]}"
        return
    if float(score.group(1)) > MOST_EXPOSED:
        yield f"exposure {score.group(1)} is more than {MOST_EXPOSED}"
    if f"**{score.group(1)}**" not in document.read_text():
        yield f"{document.name} does not say that the exposure is **{score.group(1)}**"


def main(source_dir):
    if shutil.which("systemd-analyze") is None:
        print("there is no systemd-analyze (Debian: apt-get install systemd)")
        return 77
    root = Path(source_dir)
    findings = list(findings_in(root / "deploy/systemd" / NAME, root / "docs/operations.md"))
    print("\n".join(findings) or "the unit is sound")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
