#!/usr/bin/env python3
"""Proves that a misuse does not compile, for the reason we think. Usage: compile_fail.py FILE COMPILER FLAGS...

The file must compile as it is, and must not with -DMISUSE; then the compiler must say the pattern behind `// says:`.
"""
import re
import subprocess
import sys

file, *command = sys.argv[1:]
pattern = re.search(r"^// says: (.*)$", open(file, encoding="utf-8").read(), re.MULTILINE).group(1)
command += ["-fsyntax-only", "-x", "c++", file]
right = subprocess.run(command, capture_output=True, text=True)
wrong = subprocess.run(command + ["-DMISUSE"], capture_output=True, text=True)
if right.returncode != 0:
    sys.exit("does not compile without the misuse:\n" + right.stderr)
if wrong.returncode == 0:
    sys.exit("the misuse compiles")
if not re.search(pattern, wrong.stderr):
    sys.exit(f"the misuse is refused, but not by '{pattern}':\n" + wrong.stderr)
print("refused: " + re.search(".*(" + pattern + ").*", wrong.stderr).group(0))
