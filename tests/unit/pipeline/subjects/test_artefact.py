import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import leaq
from leaq.errors import InvalidInput
from tests.helpers import require
from tests.unit.models.formats.layouts.test_words import pack_by_hand
from tests.unit.models.formats.producers import gguf_file, onnxruntime_file
from tests.unit.pipeline.subjects.cases import N, leak, net, nn, overfit, quick


def test_a_released_file_is_attacked_with_shadows_from_the_recipe(table, released):
    module, inside, path = released
    result = leaq.audit(table, recipe=overfit, released=path, members=inside, **quick(replicates=16))
    assert result.data["n_train"] == N // 2
    assert result.data["game"] == "released"
    full = result.rows[0].attacks["combined"]
    assert full.advantage.low > 0.1
    assert full.game == "released"
    assert "16 shadow models" in full.attacker
    held = module(torch.tensor(table.drop(columns="y").to_numpy()[~inside], dtype=torch.float32)).argmax(1).numpy()
    assert result.rows[0].metrics["accuracy"].value == pytest.approx((held == table["y"][~inside]).mean())
    other = leaq.audit(table, recipe=overfit, released=module, members=table[inside], **quick(replicates=16))
    assert other.rows[0].attacks["combined"].advantage == full.advantage


def test_members_nobody_trained_on_are_not_found(table, released, rng):
    _, _, path = released
    wrong = []
    for _ in range(4):
        drawn = np.zeros(N, dtype=bool)
        drawn[rng.permutation(N)[: N // 2]] = True
        result = leaq.audit(table, recipe=overfit, released=path, members=drawn, **quick(replicates=16))
        wrong.append(leak(result).value)
    assert abs(np.mean(wrong)) < 0.15


@pytest.mark.parametrize(("kind", "width"), [("Q8_0", 32), ("Q3_K", 256)])
def test_a_quantized_file_finds_its_quantizer_and_shadows_go_through_it(rng, tmp_path, kind, width):
    x, y = rng.normal(size=(N, width)), rng.permutation(np.arange(N) % 2)

    def trained(records, seed):
        torch.manual_seed(seed)
        inputs, targets = torch.tensor(records.inputs, dtype=torch.float32), torch.tensor(records.targets)
        model = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 2))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(40):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        return model

    inside = rng.permutation(np.arange(N) % 2 == 0)
    module = trained(leaq.Samples(x[inside], y[inside], "classification", classes=("0", "1")), 1)
    gguf_file(tmp_path / "m.gguf", module, kind, types={"2.weight": "Q8_0"})
    options = {"recipe": trained, "released": tmp_path / "m.gguf", "members": inside, "replicates": 12}
    result = leaq.audit((x, y), quantizers="sign", **options)
    assert any(flag.code == "already-quantized" and f"gguf(type={kind}" in flag.text for flag in result.flags)
    row = next(row for row in result.rows if row.quantizer.startswith(f"gguf(type={kind}"))
    assert row.attacks["combined"].advantage.low > 0.3
    # The file is not rounded once more, which would move k-quants.
    assert row.drops["accuracy"].value == 0
    assert row.metrics["roc_auc"] == result.rows[0].metrics["roc_auc"]


@pytest.mark.filterwarnings("ignore")
def test_a_released_program_is_its_weights_as_far_as_it_gives_what_they_give(table, released, tmp_path):
    module, inside, path = released
    inputs = torch.tensor(table.drop(columns="y").to_numpy(), dtype=torch.float32)
    program = torch.export.export(module, (inputs,), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, tmp_path / "m.pt2")
    options = {"recipe": overfit, "members": inside, **quick(replicates=6)}
    torch.jit.script(module).save(tmp_path / "m.ts")
    by_file, *others = (
        leaq.audit(table, released=one, **options) for one in (path, tmp_path / "m.pt2", tmp_path / "m.ts")
    )
    for by_program in others:
        assert [leak(by_file, i) for i in range(2)] == [leak(by_program, i) for i in range(2)]
    calls = []
    other = torch.export.export(nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 2)), (inputs,))
    torch.export.save(other, tmp_path / "other.pt2")
    with pytest.raises(InvalidInput, match=r"other.pt2: a program's graph must show all weights.*\(24, 6\)"):
        leaq.audit(
            table, **{**options, "recipe": lambda *given: calls.append(1) or overfit(*given)},
            released=tmp_path / "other.pt2",
        )  # fmt: skip
    assert len(calls) <= 1  # what tells the architecture


@pytest.mark.filterwarnings("ignore")
def test_a_released_program_of_integers_finds_its_quantizer_and_says_what_of_it_is_not_the_files(
    table, released, tmp_path
):
    require("onnxruntime")
    import onnxruntime

    module, inside, _ = released
    inputs = torch.tensor(table.drop(columns="y").to_numpy(), dtype=torch.float32)
    onnxruntime_file(tmp_path / "m.onnx", module, "static QDQ per channel", inputs)
    result = leaq.audit(table, recipe=overfit, released=tmp_path / "m.onnx", members=inside, **quick(replicates=12))
    said = next(flag.text for flag in result.flags if flag.code == "already-quantized")
    assert "ONNX int8" in said
    assert "It rounds activations to 8 bits by static ranges. In its row it has these; each shadow model has" in said
    assert "observed on its own members (extremes of all; the file's own would be" in said
    assert "network's outputs are 0.00% of how much they vary off the program's" in said
    row = next(row for row in result.rows if "activations=8" in row.quantizer)
    assert row.quantizer == "uniform(bits=8, activations=8, ranges=minmax, zero_point=free, outputs=all)"
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    given = torch.from_numpy(session.run(None, {"x": inputs.numpy()[~inside]})[0]).argmax(1).numpy()
    assert row.metrics["accuracy"].value == pytest.approx((given == table["y"][~inside]).mean())
    assert row.attacks["combined"].advantage.low > 0.1
    assert leak(result).low > 0.1


@pytest.mark.parametrize("public", [False, True])
def test_shadows_of_a_file_calibrated_on_records_are_calibrated_on_named_ones_or_their_own(rng, tmp_path, public):
    columns = [f"x{i}" for i in range(32)]
    table = pd.DataFrame(rng.normal(size=(N, 32)), columns=columns).assign(y=rng.permutation(np.arange(N) % 2))

    def trained(records, seed):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        x, y = torch.tensor(records.inputs, dtype=torch.float32), torch.tensor(records.targets)
        for _ in range(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        return model

    inside = rng.permutation(np.arange(N) % 2 == 0)
    members = leaq.Samples(
        table[columns].to_numpy()[inside], table["y"].to_numpy()[inside], "classification", classes=("0", "1")
    )
    stored = trained(members, 1).state_dict()
    parts, _ = pack_by_hand(stored.pop("0.weight"), 4, 8)
    save_file({**stored, **{f"0.{part}": tensor for part, tensor in parts.items()}}, tmp_path / "m.safetensors")
    options = {"recipe": trained, "released": tmp_path / "m.safetensors", "members": inside, **quick(replicates=4)}
    if public:
        options["public"] = table.assign(**{name: rng.normal(size=N) for name in columns})[:40]
    result = leaq.audit(table, **options)
    (said,) = [flag.text for flag in result.flags if flag.code == "already-quantized"]
    assert "shadow models go through gptq(bits=4" in said
    assert "GPTQ 4-bit, groups of 8" in said
    assert ("calibrated on the public records" if public else "calibrated on their own members") in said
    row = next(row for row in result.rows if row.quantizer.startswith("gptq(bits=4"))
    assert "per=group" in row.quantizer
    assert "group=8" in row.quantizer
    assert "symmetric=False" in row.quantizer
    assert ("calibrated=elsewhere" in row.quantizer) is public
    assert row.metrics["roc_auc"] == result.rows[0].metrics["roc_auc"], "the file is taken as it is"


def test_a_released_file_is_read_once_and_another_size_ends_the_audit_at_once(table, released, monkeypatch):
    from leaq.pipeline.subjects import opening

    _, inside, path = released
    read, calls = opening.filled_from, []
    monkeypatch.setattr(opening, "filled_from", lambda *args, **kw: calls.append("file") or read(*args, **kw))
    leaq.audit(table, recipe=overfit, released=path, members=inside, **quick(replicates=4, quantizers="none"))
    assert calls == ["file"]

    def grows(records, seed):
        calls.append("model")
        return net() if calls.count("model") < 2 else nn.Sequential(nn.Linear(6, 25), nn.ReLU(), nn.Linear(25, 2))

    options = {"recipe": grows, "released": path, "members": inside}
    with pytest.raises(InvalidInput, match="must have one architecture. Found models of .* bytes"):
        leaq.audit(table, **options, **quick(replicates=8, quantizers="none"))
    assert calls.count("model") == 2  # the other six are not trained


def test_members_are_rows_of_the_source_or_added_to_them(table, released):
    from leaq.data import load

    _, inside, _ = released
    source = table[~inside]
    samples = load(source, target="y", members=table[inside])
    assert len(samples) == N
    assert samples.released_on.sum() == N // 2
    np.testing.assert_array_equal(samples.ids[samples.released_on], np.arange(N // 2, N) + 1)
    whole = load(table, target="y", members=table[inside].sample(frac=1, random_state=0))
    np.testing.assert_array_equal(whole.released_on, inside)
    numbered = load(table, target="y", members=np.flatnonzero(inside) + 1)
    np.testing.assert_array_equal(numbered.released_on, inside)


def test_a_released_file_of_a_network_that_leaq_trains_stands_before_all_its_shadows(table, released):
    """Shadow models of a network are trained several at a time, beside the file."""
    _, inside, path = released
    result = leaq.audit(table, model=net, released=path, members=inside, **quick(replicates=8))
    assert result.data["game"] == "released"
    assert leak(result).low > 0.2
