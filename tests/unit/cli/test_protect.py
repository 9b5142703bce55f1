"""`leaq list quantizers` and `leaq protect FILE --with`."""

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.quantizers import QUANTIZERS, build, unpack


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def weights(tmp_path):
    save_file({"a.weight": torch.randn(4, 6), "a.bias": torch.zeros(4)}, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_every_quantizer_is_listed():
    result = run("list", "quantizers")
    assert result.exit_code == 0
    for name in QUANTIZERS:
        assert f"\n {QUANTIZERS.get(name).examples[0]} " in result.stdout
    assert "calibration records" in result.stdout
    assert "extra bitsandbytes" in result.stdout
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert "  CPU or GPU  " in lines["sign"]
    assert "  CPU  " in lines["torchao.int8_weight_only"]


def test_options_are_listed_in_words():
    words = run("list", "quantizers", "gptq").stdout
    assert "  per: tensor, channel or group (default channel)\n" in words
    assert "  damping: float (default 0.01)\n" in words
    assert "Literal" not in words + run("list", "quantizers", "torchao.int8_weight_only").stdout


def test_one_quantizer_is_explained():
    result = run("list", "quantizers", "ternary")
    for words in (
        "sparsity: float (default 0.5)",
        "In the families: study, protect, all.",
        "arXiv 1605.04711",
        "Levels: 3.",
    ):
        assert words in result.stdout


def test_unknown_quantizer_names_the_closest():
    result = run("list", "quantizers", "ternery")
    assert result.exit_code == 2
    assert "Did you mean 'ternary'?" in " ".join(result.stderr.split())


def test_protect_with_a_quantizer_writes_a_packed_file(weights, tmp_path):
    out = tmp_path / "packed.safetensors"
    result = run("protect", weights, "--with", "uniform(bits=4)", "--out", out)
    assert result.exit_code == 0, result.output
    read, spec = unpack(out)
    assert spec == "uniform(bits=4)"
    assert read.params["a.weight"].unique().numel() <= 4 * 15
    assert "1 weight tensors" in result.stdout
    assert "bytes" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--with", "gptq(bits=4)"), "needs calibration records, and a weight file holds none. In Python give them"),
        (("--with", "equalised(bits=4)"), "needs the architecture, and a weight file holds none. In Python give them"),
        (("--with", "sign", "--keep", "b.*"), "no parameter matches 'b.*'"),
        (("--with", "sign", "--keep", "a.*"), "must have a conv1d, conv2d, embedding, linear weight to quantize"),
    ],
)
def test_what_cannot_be_done_is_explained(weights, tmp_path, words, message):
    result = run("protect", weights, *words, "--out", tmp_path / "packed.safetensors")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "packed.safetensors").exists()


def test_pickles_are_refused(tmp_path):
    torch.save({"w": torch.ones(2, 2)}, tmp_path / "model.pt")
    result = run("protect", tmp_path / "model.pt", "--with", "sign", "--out", tmp_path / "x.safetensors")
    assert result.exit_code == 2
    assert "pickle" in result.stderr


def test_kept_weights_stay(weights, tmp_path):
    more = {"a.weight": torch.randn(4, 6), "head.weight": torch.randn(2, 4)}
    save_file(more, tmp_path / "two.safetensors")
    result = run(
        "protect",
        tmp_path / "two.safetensors",
        "--with",
        "sign",
        "--out",
        tmp_path / "o.safetensors",
        "--keep",
        "head*",
    )
    assert result.exit_code == 0, result.output
    read, _ = unpack(tmp_path / "o.safetensors")
    assert torch.equal(read.params["head.weight"], more["head.weight"])
    assert build("sign").label() in result.stdout
