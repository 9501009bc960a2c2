import pytest

from world import World


@pytest.fixture
def world():
    world = World()
    try:
        yield world
    finally:
        world.close()
