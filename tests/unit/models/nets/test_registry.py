import pytest
import torch

from leaq.errors import InvalidInput, UnknownName
from leaq.models.nets.registry import NETS, dmpnn, gcn, gin, training_of


@pytest.mark.parametrize("name", ["dmpnn", "chemprop", "gin", "gcn"])
def test_every_network_is_built_by_its_name_with_as_many_outputs_as_asked_for(name):
    net = NETS.build(f"{name}(hidden=8, depth=2)")
    assert NETS.build(net.spec()) == net
    module = net(outputs=3)
    last = [t for t in module.parameters() if t.ndim == 2][-1]
    assert len(last) == 3
    assert isinstance(module, torch.nn.Module)


def test_the_short_names_are_the_defaults():
    for build, name in ((dmpnn, "dmpnn"), (gin, "gin"), (gcn, "gcn")):
        here, there = build(2), NETS.build(name)(2)
        assert {k: v.shape for k, v in here.state_dict().items()} == {k: v.shape for k, v in there.state_dict().items()}


def test_chemprop_brings_its_training_and_the_others_none():
    assert training_of("chemprop(hidden=64)")["epochs"] == 50
    assert [dict(training_of(name)) for name in ("dmpnn", "gin", "nets.py:make", "")] == [{}, {}, {}, {}]


def test_what_is_no_network_is_refused():
    with pytest.raises(UnknownName, match="Did you mean 'dmpnn'"):
        NETS.build("dmpn")
    with pytest.raises(InvalidInput, match="depth"):
        NETS.build("gin(depth=0)")
