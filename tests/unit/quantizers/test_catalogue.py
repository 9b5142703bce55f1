import pytest

from leaq.quantizers import build, parse_list
from leaq.quantizers.catalogue import entry


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("int8", "uniform(bits=8)"), ("int4", "uniform(bits=4)"), ("fp8", "float8(format=e4m3)"), ("binary", "sign")],
)
def test_what_people_type_is_understood(typed, meant):
    assert parse_list(f"{typed}, {meant}") == (build(meant),)
    assert entry(typed) == entry(meant)
