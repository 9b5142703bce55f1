import resource

import pytest

from leaq.errors import LeaqError
from leaq.reporting.artist import Artist
from leaq.reporting.drawing import svg
from tests.helpers import require

FIGURE = {
    "data": {"values": [{"x": 1, "y": 2, "name": "a\x01\x1b[2Jb"}]},
    "mark": "text",
    "encoding": {"x": {"field": "x"}, "text": {"field": "name"}},
}


@pytest.fixture
def artist():
    require("vl_convert")
    made = Artist()
    yield made
    made.close()


def test_a_control_character_in_a_label_is_spelled_out():
    require("vl_convert")
    drawn = svg(FIGURE, name="f", label="label")
    assert "a\\x01\\x1b[2Jb" in drawn


def test_what_the_library_refuses_is_said_and_the_next_figure_is_drawn(artist):
    with pytest.raises(LeaqError, match=r"A figure could not be drawn \(.*Report fewer cells"):
        artist.draw({"mark": 3})
    assert artist.draw({"data": {"values": [{"x": 1}]}, "mark": "point"}).startswith("<svg")


def test_a_library_that_is_stopped_stops_nothing_else(artist):
    """A limit on addresses stops the engine; so does any other way its process can end."""
    process = artist._start()
    resource.prlimit(process.pid, resource.RLIMIT_AS, (1 << 28, 1 << 28))
    with pytest.raises(LeaqError, match=r"The drawing library must be able to run here. It ended \(exit -?\d+\)"):
        artist.draw(FIGURE)
