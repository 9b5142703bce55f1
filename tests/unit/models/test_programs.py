import pytest
import torch
from torch import nn

from leaq.errors import StoreError
from leaq.models.boxes import BlackBox
from leaq.models.programs import open_program


@pytest.mark.filterwarnings("ignore")
def test_programs_come_with_what_their_weights_are_followed_through(tmp_path):
    torch.manual_seed(0)
    module, inputs = nn.Linear(4, 2), torch.randn(3, 4)
    torch.export.save(torch.export.export(module, (inputs,)), tmp_path / "m.pt2")
    program, graph = open_program(tmp_path / "m.pt2")
    assert isinstance(program, BlackBox)
    assert {tuple(one.value.shape) for one in graph.weights()} == {(2, 4), (2,)}
    more = torch.randn(7, 4)  # than it was exported for
    torch.testing.assert_close(program(more), module(more).detach())
    torch.jit.script(module).save(tmp_path / "m.ts")
    program, graph = open_program(tmp_path / "m.ts")
    assert {tuple(one.value.shape) for one in graph.weights()} == {(2, 4), (2,)}
    assert torch.equal(program(more), module(more))
    assert program.bytes == (tmp_path / "m.ts").stat().st_size
    assert open_program(tmp_path / "m.safetensors") is None
    with pytest.raises(StoreError, match="There is no file 'none.onnx'"):
        open_program(tmp_path / "none.onnx")
