import pytest

from leaq.lazy import found_in


def test_names_are_found_where_they_live_and_others_are_refused():
    find = found_in("somewhere", {"pi": "math"})
    assert find("pi") > 3
    with pytest.raises(AttributeError, match="module 'somewhere' has no attribute 'tau'"):
        find("tau")
