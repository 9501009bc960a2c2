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


# Servers, one of each kind for all tests; what a test makes there goes with its world. Tests on directories need none of it.

@pytest.fixture(scope="session")
def servers():
    import servers
    return servers


@pytest.fixture(scope="session")
def minio(servers):
    server = servers.S3Server("minio")
    yield server
    server.close()


@pytest.fixture(scope="session")
def versitygw(servers):
    server = servers.S3Server("versitygw")
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgresql(servers):
    server = servers.PostgresServer()
    yield server
    server.close()


@pytest.fixture
def s3_world(servers, minio):
    world = servers.S3World(minio)
    yield world
    world.close()


@pytest.fixture
def proxied(servers, minio):
    """A world whose bucket is reached through `world.proxy`."""
    proxy = servers.MisbehavingProxy(minio.endpoint)
    world = servers.S3World(minio, endpoint=proxy.endpoint)
    world.proxy = proxy
    yield world
    world.close()
    proxy.close()


@pytest.fixture
def postgres_world(servers, postgresql):
    world = servers.PostgresWorld(postgresql)
    yield world
    world.close()


@pytest.fixture
def full_world(servers, minio, postgresql):
    world = servers.FullWorld(minio, postgresql)
    yield world
    world.close()
