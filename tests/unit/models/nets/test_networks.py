"""Graph networks against naive twins that walk each molecule, and their promises: order, batches, units."""

import pytest
import torch

from leaq.embedders import EMBEDDERS
from leaq.models import checkpoints_of
from leaq.models.nets import NETS
from leaq.models.nets.networks import MOLECULES
from leaq.models.roles import roles_of
from leaq.quantizers import Calibration, build
from tests.helpers import require
from tests.unit.models.nets.test_graphs import SMILES, by_hand

RANDOM = ("dmpnn", "chemprop", "gin", "gcn")
"""Networks that start from random weights; the others are in test_pretrained."""


@pytest.fixture
def rows():
    require("rdkit")
    return torch.tensor(EMBEDDERS.build("molgraph").encode(SMILES).features, dtype=torch.float64)


def built(spec, **options):
    torch.manual_seed(0)
    return NETS.build(spec)(**options).double()


def directed(net, row, depth):
    """Message passing as the paper writes it, one directed bond after the other."""
    atoms, bonds, ends = by_hand(row)
    atoms, bonds = torch.tensor(atoms, dtype=torch.float64), torch.tensor(bonds)
    # float32 masses were read as such
    part = net.message_passing
    start = [part.W_i(torch.cat([atoms[v], bond])) for (v, _, _), bond in zip(ends, bonds, strict=True)]
    state = [torch.relu(h) for h in start]
    for _ in range(depth - 1):
        following = []
        for (v, w, _), first in zip(ends, start, strict=True):
            message = torch.zeros(part.W_h.in_features, dtype=torch.float64)
            for (u, x, _), h in zip(ends, state, strict=True):
                if x == v and u != w:
                    message = message + h
            following.append(torch.relu(first + part.W_h(message)))
        state = following
    total = torch.zeros(part.W_o.out_features, dtype=torch.float64)
    for v, atom in enumerate(atoms):
        inward = [h for (_, x, _), h in zip(ends, state, strict=True) if x == v]
        inward = sum(inward) if inward else torch.zeros(part.W_h.in_features, dtype=torch.float64)
        total = total + torch.relu(part.W_o(torch.cat([atom, inward])))
    return net.predictor(total / 100)


@pytest.mark.parametrize("depth", [1, 3])
def test_directed_messages_are_those_of_the_paper(rows, depth):
    net = built(f"dmpnn(hidden=7, depth={depth})", outputs=3)
    twin = torch.stack([directed(net, row, depth) for row in rows])
    torch.testing.assert_close(net(rows), twin)


@pytest.mark.parametrize("net", ["dmpnn(hidden=8)", "gin(hidden=8, depth=2)"])
def test_graph_networks_can_be_calibrated_on_more_molecules_than_run_at_once(rows, net):
    module = built(net).float()
    many = rows.float().repeat(MOLECULES // len(rows) + 1, 1).numpy()
    released = checkpoints_of(module)
    calibration = Calibration(module, many, source="public records")
    found = [
        module_outputs(module, build(spec)(released, calibration).params, rows.float())
        for spec in ("none", "ternary(sparsity=0.5)", "sparse_refit(sparsity=0.5, calibrated=elsewhere)")
    ]
    plain, refitted = ((one - found[0]).square().mean() for one in found[1:])
    assert refitted < 0.5 * plain


def module_outputs(module, params, rows):
    with torch.no_grad():
        return torch.func.functional_call(module, {name: tensor[0] for name, tensor in params.items()}, (rows,))


def test_isomorphism_and_convolution_are_those_of_a_loop(rows):
    gin, gcn = built("gin(hidden=5, depth=2, aggregation=sum)", outputs=2), built("gcn(hidden=5, depth=2)", outputs=2)
    for net in (gin, gcn):
        for row, found in zip(rows, net(rows), strict=True):
            atoms, bonds, ends = by_hand(row)
            atoms, bonds = torch.tensor(atoms), torch.tensor(bonds)
            part = net.message_passing
            neighbours = {
                v: [(u, bond) for (u, x, _), bond in zip(ends, bonds, strict=True) if x == v] for v in range(len(atoms))
            }
            h = part.start(atoms)
            if net is gin:
                for eps, tie, layer in zip(part.eps, part.ties, part.layers, strict=True):
                    inward = [
                        sum((torch.relu(h[u] + tie(bond)) for u, bond in near), torch.zeros(5, dtype=torch.float64))
                        for near in neighbours.values()
                    ]
                    h = torch.relu(layer((1 + eps) * h + torch.stack(inward)))
                expected = net.predictor(h.sum(0))
            else:
                h, degree = torch.relu(h), torch.tensor([1.0 + len(near) for near in neighbours.values()])
                for layer in part.layers:
                    z = layer(h)
                    mixed = [
                        sum((z[u] / (degree[u] * degree[v]).sqrt() for u, _ in near), z[v] / degree[v])
                        for v, near in neighbours.items()
                    ]
                    h = h + torch.relu(torch.stack(mixed))
                expected = net.predictor(h.sum(0) / 100)
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("aggregation", ["mean", "sum", "norm"])
def test_a_record_does_not_depend_on_its_batch_and_depends_on_every_weight(rows, name, aggregation):
    net = built(f"{name}(hidden=6, aggregation={aggregation})", outputs=2)
    outputs = net(rows)
    torch.testing.assert_close(net(rows.flip(0)).flip(0), outputs)
    torch.testing.assert_close(torch.cat([net(row.unsqueeze(0)) for row in rows]), outputs)
    torch.testing.assert_close(net(rows.repeat(20, 1))[-len(rows) :], outputs)
    (outputs * torch.tensor([1.0, 2.0])).square().sum().backward()
    assert [name for name, weight in net.named_parameters() if not weight.grad.abs().any()] == []


def test_what_quantizers_touch(rows):
    net = built("dmpnn(hidden=6)", outputs=1)
    assert net(rows).shape == (len(rows), 1)
    roles = roles_of(net)
    assert {name for name, role in roles.items() if role == "linear"} == {
        name for name in roles if name.endswith("weight")
    }


def test_names_options_and_functions():
    from leaq.models import nets

    assert NETS.build("dmpnn").spec() == "dmpnn"
    assert NETS.build("chemprop(hidden=8)").spec() == "chemprop(hidden=8)"
    assert NETS.build("gin(depth=5)").spec() == "gin(depth=5)"
    for name in set(RANDOM) - {"chemprop"}:  # dmpnn with a recipe; leaq.models.nets.chemprop reads its files
        module = getattr(nets, name)(3)
        assert module.predictor.ffn[1][2].out_features == 3
    with pytest.raises(Exception, match="depth"):
        NETS.build("dmpnn(depth=0)")


@pytest.mark.parametrize("spec", [*RANDOM, "chemprop(ensemble=2)"])
def test_rows_made_graphs_once_give_what_rows_give(rows, spec):
    net = built(f"{spec[:-1]}, hidden=8)" if spec.endswith(")") else f"{spec}(hidden=8)")
    ready = net.prepared(rows)
    expected = net(rows)
    torch.testing.assert_close(net(ready), expected, rtol=0, atol=0)
    torch.testing.assert_close(net(ready), expected, rtol=0, atol=0)  # and again


def test_graphs_of_another_depth_are_no_obstacle(rows):
    deep, flat = (built(f"dmpnn(hidden=8, depth={depth})") for depth in (4, 2))
    torch.testing.assert_close(flat(deep.prepared(rows)), flat(rows))
