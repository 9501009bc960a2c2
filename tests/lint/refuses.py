#!/usr/bin/env python3
"""Proves that the lint scripts refuse what they are for, on small trees. Usage: refuses.py"""
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LAYERS = "base: \nmodel: base\nports: model;base\npipeline: ports;model;base\ntesting: ports;base\n"
CASES = [  # script, file, text, what it must say (None: it must pass)
    ("layers.py", "src/pipeline/a.cc", '#include "ports/b.h"\n#include <string>\n#include <sys/stat.h>\n', None),
    ("layers.py", "src/pipeline/a_test.cc", '#include "testing/b.h"\n#include <gtest/gtest.h>\n', None),
    ("layers.py", "src/pipeline/a.cc", '\n#include "testing/b.h"\n', "src/pipeline/a.cc:2: pipeline -> testing is not in DEPS"),
    ("layers.py", "src/model/a.h", '#  include "pipeline/b.h"\n', "model -> pipeline is not in DEPS"),
    ("layers.py", "src/base/a_test.cc", '#include "model/b.h"\n', "base -> model is not in DEPS"),
    ("layers.py", "src/base/a.cc", '#include "b.h"\n', "belongs to no module"),
    ("layers.py", "src/pipeline/a.cc", "#include <sqlite3.h>\n", "<sqlite3.h> belongs to io, not to pipeline"),
    ("layers.py", "src/pipeline/a.cc", "#include <gtest/gtest.h>\n", "belongs to tests, not to pipeline"),
    ("layers.py", "src/pipeline/a.cc", "#include <boost/asio.hpp>\n", "is not known"),
    ("layers.py", "elsewhere/a.cc", "", "0 files"),
    ("text.py", "src/a.cc", "int a;\n", None),
    ("text.py", "src/a.cc", "\tint a;\n", "src/a.cc:1: a tab"),
    ("text.py", "docs/a.md", "one\ntwo \n", "docs/a.md:2: a blank"),
    ("text.py", "tools/a", "cd /wo" + "rk/place\n", "tools/a:1: a path"),
    ("text.py", "tools/a", "a", "has no end"),
]


def run(script, name, text):
    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        arguments = [root]
        if script == "layers.py":
            (Path(root) / "layers.txt").write_text(LAYERS)
            arguments.append(f"{root}/layers.txt")
        return subprocess.run([sys.executable, HERE / script, *arguments], capture_output=True, text=True)


failed = 0
for script, name, text, expected in CASES:
    result = run(script, name, text)
    right = result.returncode == 0 if expected is None else result.returncode == 1 and expected in result.stdout
    if not right:
        failed += 1
        print(f"{script} on {name} {text!r}: expected {expected!r}, exit {result.returncode}\n{result.stdout}{result.stderr}")
print(f"{len(CASES) - failed} of {len(CASES)} cases came out as they should")
sys.exit(1 if failed else 0)
