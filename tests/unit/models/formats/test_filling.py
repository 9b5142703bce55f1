import torch
from safetensors.torch import save_file

from leaq.models.formats import filled_from, read_file


def test_a_network_is_copied_unless_it_was_built_for_the_file(tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(4, 3))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    save_file({name: tensor + 1 for name, tensor in before.items()}, tmp_path / "m.safetensors")
    filled, _ = filled_from(read_file(tmp_path / "m.safetensors", network), network, subject="m")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    same, _ = filled_from(read_file(tmp_path / "m.safetensors", network), network, subject="m", fresh=True)
    assert same is network
    assert all(torch.equal(tensor, filled.state_dict()[name]) for name, tensor in network.state_dict().items())
