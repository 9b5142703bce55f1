"""Form x {read, run, size, weights, shadows}: every cell, by files that the producers' own packages write."""

import math

import pytest
import torch

from leaq.models import checkpoints_of
from leaq.models.roles import tensors_of
from leaq.pipeline.finished.shipped import open_shipped, weigh
from leaq.quantizers import build
from leaq.quantizers.files.recognised import recipe_of
from tests.unit.models.formats import producers
from tests.unit.models.formats.cases import rule
from tests.unit.models.formats.matrix import FORMS

pytestmark = pytest.mark.filterwarnings("ignore")  # of the producers' packages
ALONE = {
    "bitsandbytes int8": "bitsandbytes.int8",
    # symmetric codes stay as they are; with zero points they may have been chosen on records, which no file says
    "AutoRound auto_round": "auto_round(bits=4, group=32)",
    "AutoRound gptq": "gptq(bits=4, per=group, group=32, symmetric=False)",
    "AutoRound gptq 2 bits": "auto_round(bits=2, group=32)",
    "AutoRound awq": "gptq(bits=4, per=group, group=32, symmetric=False)",
    "AutoRound llm_compressor": "compressed_tensors(bits=4, group=32)",
}
"""What gives a file's own weights as they are where that is told by a shorter rule than made it."""
CELLS = [(name, make) for name, form in FORMS.items() for make in form.models]


@pytest.mark.parametrize(("name", "make"), CELLS, ids=lambda one: getattr(one, "__name__", one))
def test_form(tmp_path, name, make):
    form, module = FORMS[name], make()
    path, expected = form.write(tmp_path, module)
    opened = open_shipped(path, module, name="m")

    # read: every quantized weight, by name, told as what it is
    assert opened.read
    assert set(expected) <= set(dict(module.named_parameters()))
    assert set(opened.stored) == ({name for name in expected if expected[name].ndim > 1} if form.bits < 16 else set())

    # weights: the producer's own dequantization, bit for bit
    found = opened.module.state_dict()
    for key, tensor in expected.items():
        if name.startswith("AutoRound"):  # it tells what it made in bfloat16
            torch.testing.assert_close(found[key], tensor, rtol=2**-7, atol=1e-6)
        else:
            assert torch.equal(found[key], tensor.float()), key

    # run: finite outputs, near the original's
    with torch.no_grad():
        if hasattr(module, "config"):
            tokens = torch.arange(12).reshape(2, 6)
            given, wanted = opened.module(tokens).logits, module(tokens).logits
        else:
            inputs = producers.records(module)
            given, wanted = opened.module(inputs), module(inputs)
    assert given.isfinite().all()
    assert 0 < (given - wanted).std() < (2 if form.bits < 3 else 0.5) * wanted.std()

    # size: bits a number of what is quantized, and everything else as it is
    many = sum(tensor.numel() for tensor in expected.values() if tensor.ndim > 1)
    few = sum(tensor.numel() for _, tensor, _ in tensors_of(module)) - many
    rest = 16 if name.startswith("AutoRound") else 32
    low = (many * form.bits + rest * few) / (many + few)
    assert math.floor(low * 100) / 100 <= weigh(opened, module).bits <= low + form.overhead + 1e-6

    # shadows: the recipe that made the file, bit for bit on its own model
    recipe = recipe_of(opened.module, module, opened.stored)
    assert recipe is not None
    assert rule(recipe.spec) == build(form.recipe).spec()
    assert recipe.share == 1
    made = build(recipe.spec)(checkpoints_of(module)).params
    for key, tensor, _ in tensors_of(opened.module):
        if tensor.ndim > 1:
            assert torch.equal(made[key][0], tensor), key

    # shadows of the file alone: the same, as far as codes or the file's own words tell it
    alone = recipe_of(opened.module, None, opened.stored)
    if form.bits < 16:
        assert rule(alone.spec) == build(ALONE.get(name, form.recipe)).spec()
        assert alone.again
        assert alone.calibrated is ("gptq(" in alone.spec)
