import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.models.formats.placing import place, place_by_run
from leaq.models.formats.weight import Weight


@pytest.fixture
def original():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 3))


def weights(module, error=0.01, form="4-bit"):
    torch.manual_seed(1)
    return [
        Weight(t.detach() + error * t.detach().std() * torch.randn_like(t), None, form if t.ndim > 1 else "")
        for t in module.parameters()
    ]


def test_each_weight_finds_its_layer_among_those_of_its_shape(original):
    found = weights(original)
    placed = place([found[i] for i in (4, 2, 5, 0, 3, 1)], original, subject="m.onnx")
    for weight, tensor in zip(found, placed.module.parameters(), strict=True):
        assert torch.equal(tensor, weight.value)
    assert placed.missing == ()
    assert placed.stored == {f"{name}.weight": "4-bit" for name in "023"}


def test_what_is_not_there_is_named_and_the_original_left_as_it_was(original):
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    placed = place(weights(original)[2:], original, subject="m.onnx")
    assert placed.module is None
    assert placed.missing == ("0.weight",)
    assert all(torch.equal(before[name], tensor) for name, tensor in original.state_dict().items())


def test_weights_of_another_model_are_refused(original):
    torch.manual_seed(5)
    other = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 3))
    with pytest.raises(InvalidInput, match=r"m.onnx: what a file holds must be near the original.*Give the original"):
        place(weights(other), original, subject="m.onnx")


def test_a_bare_matrix_is_found_though_programs_store_it_as_linear_layers_are_turned(original):
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.matrix = nn.Parameter(torch.randn(8, 8))
            self.layer = nn.Linear(8, 8)

    torch.manual_seed(2)
    module = Bare()
    turned = [
        Weight(module.matrix.detach().T),
        Weight(module.layer.weight.detach()),
        Weight(module.layer.bias.detach()),
    ]
    placed = place(turned, module, subject="m.onnx")
    assert torch.equal(placed.module.matrix, module.matrix)
    assert torch.equal(placed.module.layer.weight, module.layer.weight)


def distance(module, inputs):
    """How far another network's outputs are from a module's."""
    wanted = module(inputs).detach()

    def off(network, _levels):
        return float((network(inputs).detach() - wanted).norm() / (wanted - wanted.mean(0)).norm())

    return off


def blank(original):
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 3))


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (2, 3, 0, 1, 4, 5), (3, 2, 1, 4, 5, 0)])
def test_without_an_original_weights_stand_where_the_network_gives_what_the_program_gives(original, order):
    found = [Weight(t.detach(), None, "4-bit" if t.ndim > 1 else "") for t in original.parameters()]
    inputs = torch.randn(50, 8)
    placed = place_by_run([found[i] for i in order], blank(original), distance(original, inputs), subject="m")
    torch.testing.assert_close(placed.module(inputs), original(inputs))
    assert placed.stored == {f"{name}.weight": "4-bit" for name in "023"}


def test_a_square_weight_is_turned_where_its_program_stores_it_so(original):
    found = [Weight(t.detach().T if t.shape == (8, 8) else t.detach()) for t in original.parameters()]
    inputs = torch.randn(50, 8)
    placed = place_by_run(found, blank(original), distance(original, inputs), subject="m")
    for tensor, wanted in zip(placed.module.parameters(), original.parameters(), strict=True):
        assert torch.equal(tensor, wanted)


def test_a_program_that_gives_something_else_or_shows_too_little_is_refused(original):
    found = [Weight(t.detach()) for t in original.parameters()]
    inputs = torch.randn(50, 8)
    torch.manual_seed(11)
    other = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 3))
    with pytest.raises(InvalidInput, match="m: the network must give what the program gives.*logits, not prob"):
        place_by_run(found, blank(original), distance(other, inputs), subject="m")
    with pytest.raises(InvalidInput, match=r"Of shape \(8, 8\) the network has 2, the graph 1 \(normalisation may"):
        place_by_run(found[1:], blank(original), distance(original, inputs), subject="m")


def test_normalisation_that_was_folded_into_a_weight_is_taken_out_again():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ConvTranspose1d(1, 6, 4), nn.BatchNorm1d(6)).eval()
    for norm, sign in ((module[1], -1), (module[3], 1)):
        norm.running_var.uniform_(0.1, 4)
        nn.init.uniform_(norm.weight, 0.5, 2)
        norm.weight.data *= sign
    factors = [norm.weight / (norm.running_var + norm.eps).sqrt() for norm in (module[1], module[3])]
    linear, filters = (weights(module)[i] for i in (0, 4))
    found = [
        Weight((filters.value * factors[1].reshape(1, -1, 1)).detach(), None, "4-bit"),
        Weight((linear.value * factors[0].reshape(-1, 1)).detach(), None, "4-bit"),
        Weight(torch.full((6,), 7.0)),  # a bias that the normalisation moved
    ]
    placed = place(found, module, subject="m.onnx")
    assert {name: one.norm for name, one in placed.folded.items()} == {"0.weight": "1", "2.weight": "3"}
    torch.testing.assert_close(placed.module[0].weight, linear.value)
    torch.testing.assert_close(placed.module[2].weight, filters.value)
    for layer in (0, 1, 2, 3):
        assert torch.equal(placed.module[layer].bias, module[layer].bias)
    assert torch.equal(placed.folded["0.weight"].value, found[1].value)


def test_another_models_weight_is_no_folded_one():
    torch.manual_seed(0)
    module, other = (nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6)).eval() for _ in range(2))
    with pytest.raises(InvalidInput, match="must be near the original"):
        place(weights(other), module, subject="m.onnx")
