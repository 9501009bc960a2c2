#!/usr/bin/env python3
"""Fails on tabs, trailing blanks, a missing last newline, and paths of somebody's machine. Usage: text.py SOURCE_DIR"""
import re
import sys
from pathlib import Path

SUFFIXES = {".cc", ".h", ".in", ".txt", ".cmake", ".md", ".yaml", ".json", ".py", ".sh", ".sql", ".service", ".conf", ".example", ""}
FOLDERS = [".ci", "bench", "cmake", "cmd", "deploy", "docs", "examples", "src", "tests", "tools"]
# Recorded output and inputs of tests are as they are.
DATA = re.compile(r"^tests/(golden|fuzz/corpus|contract/s3_imposter)/.*(?<!\.py)(?<!\.cc)(?<!CMakeLists\.txt)$|__pycache__|\.pytest_cache")
RULES = [
    (re.compile(r"\t"), "a tab"),
    (re.compile(r"[ \r]+$"), "a blank at the end of the line"),
    (re.compile(r"(?<![\w.<>}])/(work" + r"|home/\w+|root/\w+)/"), "a path of somebody's machine"),
]


def findings_in(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, what in RULES:
            if pattern.search(line):
                yield f"{name}:{number}: {what}"
    if text and not text.endswith("\n"):
        yield f"{name}: the last line has no end"


def main(source_dir):
    root = Path(source_dir)
    files = [p for p in root.iterdir() if p.is_file()]
    for folder in FOLDERS:
        files += [p for p in (root / folder).rglob("*") if p.is_file()]
    findings, read = [], 0
    for path in sorted(files):
        name = path.relative_to(root).as_posix()
        if path.suffix in SUFFIXES and path.name != ".git" and not DATA.search(name):
            read += 1
            findings += findings_in(name, path.read_text(encoding="utf-8"))
    print("\n".join(findings) or f"{read} files are clean")
    return 1 if findings or read == 0 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
