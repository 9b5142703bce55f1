"""What a large file says of itself is looked at before it is read or hashed; what does not fit is left in the file."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from leaq.errors import InvalidInput, StoreError
from leaq.models import checkpoints_of
from leaq.models.formats import read_file
from leaq.pipeline import AuditConfig, audit
from leaq.pipeline.finished import files, looking, modules, running
from leaq.pipeline.finished.looking import empty_network
from leaq.study.tasks import prepare_cells
from leaq.system import memory
from leaq.training import TrainingConfig
from tests.helpers import require
from tests.unit.models.formats.cases import whole
from tests.unit.models.formats.producers import exported, gguf_file
from tests.unit.pipeline.finished.models import fit, noisy

NET = """
import torch
n = torch.nn

def make(width=64):
    return n.Sequential(n.Linear(32, width), n.BatchNorm1d(width), n.ReLU(), n.Linear(width, 2))

def wider():
    return make(65)

def deeper():
    return n.Sequential(*make(), n.ReLU(), n.Linear(2, 2))
"""


def network():
    space = {}
    exec(NET, space)
    return space["make"]()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with networks and records, in which every file counts as large and none may be hashed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "netslooked.py").write_text(NET)
    x, y = noisy(d=32)
    for name, part in (("in", slice(60)), ("out", slice(60, None))):
        np.savez(tmp_path / f"{name}.npz", x=x[part], y=y[part])
    monkeypatch.setattr(looking, "LARGE", 0)
    monkeypatch.setattr(files, "sha256_within", lambda _: pytest.fail("hashed before it was looked at"))
    return tmp_path


@pytest.fixture
def little(monkeypatch):
    """Sets how much memory is free."""

    def free(size):
        for module in (memory, looking):
            monkeypatch.setattr(module, "free_memory", lambda: size)

    return free


def config(source, **options):
    given = {"members": "in.npz", "nonmembers": "out.npz", "model": "netslooked:make", "quantizers": ("none",)}
    return AuditConfig(source=source, **{**given, **options})


def looked(source, **options):
    prepare_cells(config(source, **options), (TrainingConfig(),))


@pytest.mark.parametrize("kind", ["safetensors", "gguf"])
def test_another_architecture_is_named_before_a_file_is_hashed(place, kind):
    model = network()
    path = place / f"m.{kind}"
    whole(path, model) if kind == "safetensors" else gguf_file(path, model, "Q8_0")
    with pytest.raises(InvalidInput, match=rf"m.{kind}: 0.weight must have the original's shape \(65, 32\). Found"):
        looked(str(path), model="netslooked:wider")
    with pytest.raises(InvalidInput, match=rf"m.{kind}: the weights must belong to the same arch.* missing: 5.weight"):
        looked(str(path), model="netslooked:deeper")


def test_what_is_no_model_or_damaged_is_named_before_it_is_hashed(place):
    path = whole(place / "m.safetensors", network())
    (place / "cut.safetensors").write_bytes(path.read_bytes()[:-8])
    with pytest.raises(StoreError, match="cut.safetensors: this is no readable safetensors file"):
        looked("cut.safetensors")
    torch.save({"w": torch.ones(2)}, place / "w.pt")
    with pytest.raises(InvalidInput, match="w.pt: weights must be a safetensors file. Found a pickled one"):
        looked("w.pt")
    with pytest.raises(InvalidInput, match="Weights alone do not say how they are used. m.safetensors holds"):
        looked("m.safetensors", model="")
    with pytest.raises(StoreError, match="cut.safetensors"):
        looked("m.safetensors", shipped=("q=cut.safetensors",))


def test_what_is_larger_than_memory_is_refused_with_the_file_and_both_sizes(place, little, monkeypatch):
    whole(place / "m.safetensors", network())
    gguf_file(place / "m.gguf", network(), "Q8_0")
    exported(place / "m.onnx", network(), torch.zeros(3, 32))
    little(9000)
    with pytest.raises(InvalidInput, match=r"in.npz: its content must fit into"):
        looked("m.safetensors")
    monkeypatch.setattr(memory, "memory_budget", lambda: 1 << 20)
    with pytest.raises(
        InvalidInput, match=r"m.gguf: this file holds 2,498 numbers, the largest weight of 2,048, which"
    ):
        looked("m.gguf")
    little(4 * 4 * 2048)
    with pytest.raises(pytest.fail.Exception, match="hashed before"):  # it fits, and is read
        looked("m.safetensors")
    with pytest.raises(InvalidInput, match=r"a byte for each code of a quantizer, .* in full precision alone \(quant"):
        looked("m.safetensors", quantizers=("sign",))
    little(9000)
    with pytest.raises(InvalidInput, match=r"m.onnx: this file is read whole by its runtime, which takes"):
        looked("m.onnx", model="")
    monkeypatch.setattr(memory, "memory_budget", lambda: 10_000)
    (place / "in.csv").write_text("a,y\n" + "1,2\n" * 2000)
    with pytest.raises(InvalidInput, match=r"in.csv: its content must fit into"):
        looked("m.safetensors", members="in.csv", target="y")


@pytest.mark.filterwarnings("ignore")
def test_weights_that_do_not_fit_stay_in_the_file_and_give_the_same_numbers(place, little, monkeypatch):
    x, y = noisy(d=32)
    path = whole(place / "m.safetensors", fit(network(), torch.tensor(x[:60]), torch.tensor(y[:60]), steps=60))
    before = path.read_bytes()
    plain = audit(config(str(path), draws=20))
    held = []
    filled_from = files.filled_from

    def watched(*args, **options):
        held.append(options["mapped"])
        return filled_from(*args, **options)

    def shared(module, *args, **options):
        released = released_of(module, *args, **options)
        own = checkpoints_of(module, copied=False).params
        held.append({name for name, tensor in released.params.items() if tensor.data_ptr() != own[name].data_ptr()})
        return released

    released_of = modules.released_of
    monkeypatch.setattr(modules, "released_of", shared)
    monkeypatch.setattr(running, "checkpoints_of", lambda _: pytest.fail("the weights were copied"))
    monkeypatch.setattr(files, "filled_from", watched)
    little(1 << 30)
    monkeypatch.setattr(memory, "memory_budget", lambda: 1 << 30)
    mapped = audit(config(str(path), draws=20))
    assert held == [True, set()]
    assert mapped.rows[0].metrics == plain.rows[0].metrics
    assert mapped.rows[0].attacks["threshold"].advantage == plain.rows[0].attacks["threshold"].advantage
    assert path.read_bytes() == before


def test_a_network_with_numbers_that_no_file_holds_is_built_as_it_is(place):
    class Placed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)
            self.register_buffer("places", torch.arange(3), persistent=False)

    class Bare(Placed):
        def __init__(self):
            super().__init__()
            self.places = torch.ones(3)

    def reads():
        return torch.nn.Linear(2, int(torch.ones(2).sum()))

    assert empty_network(Placed, {}) is None
    assert empty_network(Bare, {}) is None
    assert empty_network(reads, {}) is None
    empty = empty_network(network, {})
    assert all(tensor.is_meta for tensor in empty.parameters())
    path = whole(place / "m.safetensors", network())
    filled, _ = files.filled_from(read_file(path, empty), empty, subject="m", fresh=True, mapped=True)
    stored = checkpoints_of(filled).at(0).params
    read = read_file(path, filled).weights
    assert all(torch.equal(tensor, read[name]().value) for name, tensor in stored.items())
    assert not filled[1].num_batches_tracked.is_meta


def test_a_folder_of_a_language_model_is_counted_by_its_headers(place, little):
    folder = place / "lm"
    folder.mkdir()
    save_file({"w": torch.ones(300, 10).half()}, folder / "model.safetensors")
    little(11_999)
    with pytest.raises(InvalidInput, match="lm: this file holds a language model, in 32 bits, which takes"):
        looking.refuse_large_folder(folder, rows=0)
    little(12_000)
    looking.refuse_large_folder(folder, rows=0)
    with pytest.raises(InvalidInput, match="once more for the row of a quantizer"):
        looking.refuse_large_folder(folder, rows=3)
    looking.refuse_large_folder("some/name-of-a-hub", rows=3)


@pytest.mark.filterwarnings("ignore")
def test_of_a_folder_whose_weights_stay_there_the_largest_must_fit(place, little):
    from tests.unit.models.formats.producers import llama

    llama().save_pretrained(place / "lm", max_shard_size="40KB")
    little(4 * 4 * 128 * 64 - 1)
    with pytest.raises(InvalidInput, match=r"lm: this file holds 82,\d+ numbers, the largest weight of 8,192, which"):
        looking.refuse_large_folder(place / "lm", rows=0)
    little(4 * 4 * 128 * 64)
    looking.refuse_large_folder(place / "lm", rows=0)


LARGER = """
import resource, sys
from pathlib import Path
import gguf, numpy as np
import leaq

WIDTH, LAYERS = 4096, 20
Path("netslarge.py").write_text(
    f"import torch\\nn = torch.nn\\ndef make():\\n"
    f"    wide = ((n.Linear({WIDTH}, {WIDTH}, bias=False), n.ReLU()) for _ in range({LAYERS}))\\n"
    f"    return n.Sequential(*(part for pair in wide for part in pair), n.Linear({WIDTH}, 2))\\n"
)
writer, kind = gguf.GGUFWriter("large.gguf", "perceptron"), np.dtype("float32")
sizes = {f"{2 * i}.weight": (WIDTH, WIDTH) for i in range(LAYERS)}
sizes |= {f"{2 * LAYERS}.weight": (2, WIDTH), f"{2 * LAYERS}.bias": (2,)}
for name, shape in sizes.items():
    writer.add_tensor_info(name, shape, kind, 4 * int(np.prod(shape)))
writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_ti_data_to_file(); writer.close()
with open("large.gguf", "r+b") as file:  # zeros that take no room
    size = file.seek(0, 2) + sum(4 * int(np.prod(shape)) for shape in sizes.values()) + 256
    file.truncate(size)
limit = 900 << 20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
rng = np.random.default_rng(0)
members, nonmembers = ((rng.normal(size=(24, WIDTH)).astype("f4"), np.arange(24) % 2) for _ in range(2))
parts = {"members": members, "nonmembers": nonmembers}
found = leaq.audit("large.gguf", model="netslarge.py:make", quantizers="none", draws=20, **parts)
print(size > 1.4 * limit, found.rows[0].metrics["loss"].value)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's own memory is Linux's")
def test_a_file_larger_than_the_memory_of_its_process_is_audited_to_its_end(tmp_path):
    require("gguf")
    command = [sys.executable, "-W", "ignore", "-c", LARGER]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    larger, loss = done.stdout.split()
    assert larger == "True"
    assert float(loss) == pytest.approx(np.log(2))
