"""What `leaq audit MODEL` makes of a file: a program runs, weights need an architecture, a language model its texts."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from leaq.errors import InvalidInput
from leaq.models.causal import load_causal
from leaq.pipeline.finished import looking, modules, running
from leaq.types.later import is_later
from tests.helpers import require
from tests.unit.models.formats.producers import compressed, exported, gguf_file
from tests.unit.pipeline.finished.models import audit_finished, noisy, overfitted

QUICK = {"quantizers": ("none",), "draws": 20}
NET = (
    "import torch\n\nn = torch.nn\ndef make():\n    return n.Sequential(n.Linear(32, 64), n.ReLU(), n.Linear(64, 2))\n"
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "netsmade.py").write_text(NET)
    x, y = noisy(d=32)
    for name, part in (("in", slice(60)), ("out", slice(60, None))):
        np.savez(tmp_path / f"{name}.npz", x=x[part], y=y[part])
    return tmp_path, x, y


@pytest.mark.filterwarnings("ignore")
def test_programs_need_no_architecture_and_weights_do(place):
    folder, x, y = place
    model = overfitted(x[:60], y[:60], width=64)
    wanted = audit_finished(model, (x[:60], y[:60]), (x[60:], y[60:]), **QUICK).rows[0].metrics["loss"].value
    records = (folder / "in.npz", folder / "out.npz")
    exported(folder / "m.onnx", model, torch.from_numpy(x))
    found = audit_finished(folder / "m.onnx", *records, **QUICK)
    assert found.rows[0].metrics["loss"].value == pytest.approx(wanted, rel=1e-4)
    expected = gguf_file(folder / "m.gguf", model, "Q8_0")
    with pytest.raises(InvalidInput, match="m.gguf holds a GGUF file of arch.* with .* 2 Q8_0 tensors"):
        audit_finished(folder / "m.gguf", *records, **QUICK)
    model.load_state_dict(expected)
    wanted = audit_finished(model, (x[:60], y[:60]), (x[60:], y[60:]), **QUICK).rows[0].metrics["loss"].value
    found = audit_finished(folder / "m.gguf", *records, model="netsmade:make", **QUICK)
    assert found.rows[0].metrics["loss"].value == pytest.approx(wanted, rel=1e-6)
    assert "already-quantized" in [flag.code for flag in found.flags]
    save_file({f"module.{name}": t for name, t in expected.items()}, folder / "m.safetensors")
    found = audit_finished(folder / "m.safetensors", *records, model="netsmade:make", **QUICK)
    assert found.data["name"] == "m", "the file, and not the class of the network in it"
    assert found.rows[0].metrics["loss"].value == pytest.approx(wanted, rel=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_file_of_codes_says_in_which_form_it_is(place):
    folder, x, y = place
    model = overfitted(x[:60], y[:60], width=64)
    compressed(folder, model, group=32)
    with pytest.raises(InvalidInput, match="1 weights as .*-bit, 1 weights as .*-bit in groups of 32, 2 other"):
        audit_finished(folder / "model.safetensors", folder / "in.npz", folder / "out.npz", **QUICK)


@pytest.mark.filterwarnings("ignore")
def test_a_language_model_is_audited_from_gguf_beside_its_original(tmp_path):
    require("tokenizers")
    from tests.unit.models.formats.producers import llama

    model = llama()
    words = [f"w{i}" for i in range(60)]
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({"<unk>": 0, **{w: i + 1 for i, w in enumerate(words)}}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    rng = np.random.default_rng(0)
    seen, unseen = ([" ".join(rng.choice(words, 12)) for _ in range(24)] for _ in range(2))
    rows = {}
    for kind in ("Q4_0", "Q8_0"):
        gguf_file(tmp_path / f"{kind}.gguf", model, kind, arch="llama")
        rows[kind] = tmp_path / f"{kind}.gguf"
    specs = tuple(f"gguf(type={kind})" for kind in rows)
    result = audit_finished(model, seen, unseen, tokenizer=tokenizer, quantizers=specs, shipped=rows, draws=20)
    for own, shipped in zip(result.rows[1:3], result.rows[3:], strict=True):
        assert shipped.metrics["loss"].value == pytest.approx(own.metrics["loss"].value, rel=1e-5)
        assert own.quantizer in next(flag.text for flag in shipped.flags if flag.code == "recipe")
        assert shipped.size.bytes == own.size.bytes


def written(folder, kind="Q8_0", model=None):
    """Write a small Llama as GGUF, with a tokenizer of letters, and texts."""
    require("gguf")
    from tests.unit.models.formats.producers import llama

    model = model or llama()
    letters = [chr(97 + i) for i in range(26)]
    tokens = ["<unk>", "<s>", "</s>", *(f"\u2581{letter}" for letter in letters), *letters, "\u2581"]
    tokens += [f"<0x{i:02X}>" for i in range(64 - len(tokens))]

    def about(writer):
        writer.add_context_length(64)
        writer.add_embedding_length(64)
        writer.add_feed_forward_length(128)
        writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
        writer.add_rope_dimension_count(16)
        writer.add_rope_freq_base(10000.0)
        writer.add_vocab_size(64)
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens)
        writer.add_token_scores([0.0] * 64)
        writer.add_token_types([2, 3, 3, *[1] * 61])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)

    gguf_file(folder / "m.gguf", model, kind, arch="llama", about=about)
    rng = np.random.default_rng(0)
    for name in ("in", "out"):
        texts = (" ".join(rng.choice(letters, 12)) for _ in range(24))
        (folder / f"{name}.txt").write_text("\n".join(texts))
    return folder / "m.gguf", folder / "in.txt", folder / "out.txt"


@pytest.mark.filterwarnings("ignore")
def test_a_gguf_language_model_is_audited_by_itself(tmp_path):
    found = audit_finished(*written(tmp_path), **QUICK)
    assert "architecture 'llama'" in next(flag.text for flag in found.flags if flag.code == "already-quantized")
    assert found.rows[0].metrics["loss"].value == pytest.approx(np.log(64), abs=0.3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("folder", [False, True])
def test_weights_that_stay_in_their_file_and_rows_held_as_codes_give_the_same_numbers(tmp_path, monkeypatch, folder):
    three = written(tmp_path, "Q4_0")
    options = {"quantizers": ("none", "sign", "uniform(bits=4)", "float16", "gguf(type=Q4_1)"), "draws": 20}
    if folder:
        from tests.unit.models.formats.producers import llama

        llama().save_pretrained(tmp_path / "lm", max_shard_size="40KB")
        load_causal(three[0])[1].save_pretrained(tmp_path / "lm")
        three, options["quantizers"] = (tmp_path / "lm", *three[1:]), ("none", "sign", "uniform(bits=4)")
    monkeypatch.setattr(running, "LARGE", 0)  # what single codes do follows from gradients, as in a large model
    plain = audit_finished(*three, neighbours=6, **options)
    monkeypatch.setattr(looking, "LARGE", 0)
    kept = []
    monkeypatch.setattr(modules, "checksums_of", lambda named: kept.extend(tensor for _, tensor in named) or {})
    left = audit_finished(*three, neighbours=6, **options)
    assert [is_later(tensor) for tensor in kept] == [tensor.ndim > 2 for tensor in kept]
    for one, other in zip(plain.rows, left.rows, strict=True):
        assert other.size == one.size
        assert other.metrics["loss"].value == pytest.approx(one.metrics["loss"].value, rel=1e-6)
        assert other.attacks["min-k++"].advantage.value == pytest.approx(one.attacks["min-k++"].advantage.value)
        for name in ("r", "threshold_k"):
            if isinstance(value := getattr(one.measures.get(name), "value", None), float):
                assert other.measures[name].value == pytest.approx(value, rel=1e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(place):
    folder, *_ = place
    save_file({"0.weight": torch.zeros(2, 32)}, folder / "m.safetensors")
    model = torch.nn.Sequential(torch.nn.Linear(32, 2))
    with pytest.raises(InvalidInput, match="device 'cuda' needs a CUDA GPU where models run. Found none"):
        audit_finished(model, folder / "in.npz", folder / "out.npz", training={"device": "cuda"}, **QUICK)
