import torch

from leaq.models.formats.levels import Levels, named_levels, rounding_of
from leaq.types.activations import OUTPUTS


def test_what_levels_are_together():
    assert rounding_of({}) is None
    dynamic = rounding_of({"a": Levels(8), "b": Levels(4)})
    assert (dynamic.bits, dynamic.zero_point, dynamic.static, dynamic.outputs) == (4, "free", False, "none")
    assert rounding_of({"a": Levels(8, None, 128)}).zero_point == "middle"
    around = rounding_of({"a": Levels.coded(0.5, 0, -128, 127)})
    assert (around.zero_point, around.ranges["a"].tolist()) == ("middle", [-63.5, 63.5])
    signs = rounding_of({"a": Levels.coded(0.5, 128, 0, 255), "b": Levels.coded(0.5, 0, 0, 255)})
    assert (signs.zero_point, signs.ranges["b"].tolist()) == ("sign", [0.0, 127.5])
    free = rounding_of({"a": Levels.coded(0.5, 3, -128, 127), "b": Levels.coded(0.5, 0, -128, 127)})
    assert (free.zero_point, free.ranges["b"].tolist()) == ("free", [-64.0, 63.5])
    some = rounding_of({"a": Levels(8, 0.5, 3), "b": Levels(8)})  # a static range beside a dynamic one
    assert list(some.ranges) == ["a"]


def test_results_count_where_those_of_all_layers_are_rounded():
    one, two = Levels(8, 0.1, 3), Levels(8, 0.2, 0)
    every = rounding_of(named_levels({"a": one, "b": two}, {"a": two, "b": one}, one))
    assert (every.outputs, len(every.ranges)) == ("all", 5)
    last = rounding_of(named_levels({"a": one, "b": two}, {"a": None, "b": one}, one))
    assert (last.outputs, list(last.ranges)) == ("last", ["a", "b", OUTPUTS])
    assert rounding_of(named_levels({"a": one}, {"a": None}, None)).outputs == "none"


def test_levels_between_two_ends_are_those_of_fake_quantize():
    levels = Levels.between(-1.0078740157480315, 1.0, 256)
    assert (levels.bits, levels.zero, levels.middle) == (8, 128, True)
    torch.testing.assert_close(torch.tensor(levels.scale), torch.tensor(1 / 127))
    assert Levels.between(0.0, 0.0, 256).ends == (0.0, 0.0)
