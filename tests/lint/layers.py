#!/usr/bin/env python3
"""Fails on an include that the layering forbids. Usage: layers.py SOURCE_DIR LAYERS_TXT

layers.txt ("module: deps" a line) is written when the build is configured. A file of src/<module>/ may include headers of its
own module and of its DEPS; a test may include `testing`, too. Each third-party header has one module that may include it.
"""
import re
import sys
from pathlib import Path

# Header, as a prefix -> the modules that may include it. What is not here, and neither C++ nor POSIX, is refused.
THIRD_PARTY = {
    "tl/expected.hpp": {"base"}, "fmt/": {"base"},
    "utf8proc.h": {"model"}, "xxhash.h": {"base"},
    "sqlite3.h": {"io"}, "openssl/": {"io"}, "curl/": {"net"}, "libpq-fe.h": {"refs"}, "pugixml.hpp": {"store"},
    "emmintrin.h": {"store"}, "cctz/": {"schedule"}, "microhttpd.h": {"httpd"},
    "nlohmann/": {"refs", "store", "app", "daemon", "cli"}, "CLI/": {"cli"}, "yaml-cpp/": {"app"},
    "gtest/": {"tests"}, "gmock/": {"tests"}, "rapidcheck": {"tests"},
}
SYSTEM = re.compile(r"^([a-z_]+|(sys|linux|netinet|arpa)/\w+\.h|"
                    r"(dirent|fcntl|grp|malloc|netdb|poll|pthread|pwd|sched|signal|stdlib|termios|unistd)\.h)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def is_test(path):
    return path.name.endswith("_test.cc") or path.name.startswith("test_")


def forbidden(module, deps, path, quote, header):
    """Why this file must not include this header, or None."""
    if quote == '"':
        target = header.split("/")[0]
        if target == module or target in deps.get(module, set()) or (target == "testing" and is_test(path)):
            return None
        return f"{module} -> {target} is not in DEPS" if target in deps else f"'{header}' belongs to no module"
    if SYSTEM.match(header):
        return None
    for prefix, allowed in THIRD_PARTY.items():
        if header.startswith(prefix):
            fits = module in allowed or ("tests" in allowed and is_test(path))
            return None if fits else f"<{header}> belongs to {' and '.join(sorted(allowed))}, not to {module}"
    return f"<{header}> is not known: say in tests/lint/layers.py which module may include it"


def main(source_dir, layers_txt):
    deps = {}
    for line in Path(layers_txt).read_text().splitlines():
        module, _, names = line.partition(":")
        deps[module] = set(re.split(r"[;\s]+", names.strip())) - {""}
    findings = []
    src = Path(source_dir) / "src"
    files = sorted(p for p in src.rglob("*") if p.suffix in (".cc", ".h"))
    for path in files:
        module = path.relative_to(src).parts[0]
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            why = forbidden(module, deps, path, *match.groups())
            if why:
                findings.append(f"{path.relative_to(source_dir)}:{text.count(chr(10), 0, match.start(2)) + 1}: {why}")
    print("\n".join(findings) or f"{len(files)} files keep to their layers")
    return 1 if findings or not files else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
