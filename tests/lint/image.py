#!/usr/bin/env python3
"""The Dockerfile copies what is there, and what it makes of the program has all that the program links. Usage: image.py SOURCE_DIR PROGRAM

No container engine is needed: the last stage is the directory that deploy/docker/rootfs makes; as root the program is run in it.
"""
import os
import re
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path


def copied(dockerfile):
    """Sources of COPY from the build context."""
    for line in dockerfile.read_text().splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not any(word.startswith("--from") for word in words):
            yield from (word for word in words[1:-1] if not word.startswith("--"))


def let_through(root, path):
    """Whether .dockerignore lets a path through: the last pattern that fits decides."""
    taken = True
    for line in (root / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep, pattern = pattern.startswith("!"), pattern.lstrip("!").rstrip("/")
        if fnmatch(path, pattern) or fnmatch(path, pattern + "/*"):
            taken = keep
    return taken


def context_findings(root):
    sources = list(copied(root / "deploy/docker/Dockerfile"))
    if not sources:
        yield "the Dockerfile copies nothing"
    for source in sources:
        if not (root / source).exists():
            yield f"COPY {source}: there is no such file"
        elif not let_through(root, source):
            yield f"COPY {source}: .dockerignore keeps it out"
    # What the build reads for the product.
    for folder in re.findall(r"^\s*add_subdirectory\((\w+)", (root / "CMakeLists.txt").read_text(), re.M):
        if folder not in ("bench", "tests") and folder not in [source.rstrip("/") for source in sources]:
            yield f"the build needs {folder}/, which the Dockerfile does not copy"


def libraries(program):
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"(?:=>|^\s+)\s*(/\S+) \(0x", said, re.M)))


def image_findings(root, program, image):
    made = subprocess.run([root / "deploy/docker/rootfs", program, image], capture_output=True, text=True)
    if made.returncode != 0:
        yield f"rootfs failed: {made.stdout}{made.stderr}"
        return
    for library in libraries(program):
        if not (image / library.lstrip("/")).resolve().is_file():
            yield f"{library} is not in the image"
    for file in ("etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo/Europe/Rome", "etc/passwd", "usr/share/doc/libcurl4/copyright"):
        if not (image / file).exists():
            yield f"/{file} is not in the image"
    for program_of_others in ("bin/sh", "usr/bin/apt-get"):
        if (image / program_of_others).exists():
            yield f"/{program_of_others} has no business in the image"
    if os.getuid() == 0:
        said = subprocess.run(["/usr/sbin/chroot", "--userspec=65532:65532", image, "/usr/bin/heimdall-storage", "--version"], capture_output=True, text=True, env={})
        if said.returncode != 0 or not said.stdout.startswith("heimdall-storage "):
            yield f"the program does not run in the image: {said.stdout}{said.stderr}"


def main(source_dir, program):
    root = Path(source_dir)
    with tempfile.TemporaryDirectory() as folder:
        findings = [*context_findings(root), *image_findings(root, Path(program), Path(folder) / "image")]
    print("\n".join(findings) or "the image has what it needs")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
