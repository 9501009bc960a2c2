import os
import shutil
import subprocess

import pytest

from world import BINARY, World


@pytest.fixture
def world():
    world = World()
    try:
        yield world
    finally:
        world.close()


@pytest.fixture
def faketime():
    """Words to put before the binary, so that its wall clock is off by so much."""
    program = shutil.which("faketime")
    if program is None:
        pytest.skip("faketime is not installed")

    def wrapper(offset):
        # The boot clock goes on as it is: it is the wall clock that was stepped.
        return ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", program, "-f", offset]

    probe = subprocess.run([*wrapper("-10y"), BINARY, "--version"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip("faketime does not work with this binary")
    return wrapper


@pytest.fixture
def root():
    if os.getuid() != 0:
        pytest.skip("needs root")
