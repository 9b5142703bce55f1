from leaq.types.tasks import Layout, TaskSpec


def test_a_layout_says_whose_each_output_is():
    two, three = TaskSpec("a", "classification", ("n", "y")), TaskSpec("b", "classification", ("x", "y", "z"))
    layout = Layout((three, two, TaskSpec("v", "regression", unit="mM")))
    assert (layout.outputs, layout.starts) == (5, (0, 3, 4, 5))
    assert [layout.columns(at) for at in range(3)] == [slice(0, 3), slice(3, 4), slice(4, 5)]
    assert (layout.single, layout.several, layout.values) == ((1, 2), (0,), (2,))
    assert layout.kinds == {"classification", "regression"}
    assert Layout.of(()) is None
