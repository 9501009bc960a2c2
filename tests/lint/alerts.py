#!/usr/bin/env python3
"""The alert rules are sound, do what their tests say, name metrics that exist, and each has a line in the docs. Usage: alerts.py SOURCE_DIR

Exits with 77 where there is no promtool.
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

OURS = re.compile(r"\bheimdall_storage_\w+")


def findings_in(root):
    folder = root / "deploy/prometheus"
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        said = subprocess.run(["promtool", *command], cwd=folder, capture_output=True, text=True, timeout=60)
        if said.returncode != 0:
            yield f"promtool {' '.join(command)}: {said.stdout}{said.stderr}"
    known = "\n".join(path.read_text() for path in sorted((root / "src/daemon").glob("metrics*.cc")))
    rules = (folder / "alerts.yaml").read_text()
    document = (root / "docs/operations.md").read_text()
    for name in sorted(set(OURS.findall(rules))):
        if f'"{name}"' not in known:
            yield f"alerts.yaml: there is no metric {name}"
    alerts = re.findall(r"^\s*- alert: (\w+)", rules, re.M)
    for alert in alerts:
        if alert not in document:
            yield f"docs/operations.md does not say what to do about {alert}"
        if alert not in (folder / "alerts_test.yaml").read_text():
            yield f"alerts_test.yaml does not test {alert}"
    if not alerts:
        yield "alerts.yaml has no alert"


def main(source_dir):
    if shutil.which("promtool") is None:
        print("there is no promtool (Debian: apt-get install prometheus)")
        return 77
    findings = list(findings_in(Path(source_dir)))
    print("\n".join(findings) or "the alerts are sound")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
