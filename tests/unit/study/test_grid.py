from itertools import pairwise

import numpy as np
import pytest
from safetensors.torch import save_file

import leaq
from leaq.errors import InvalidInput
from leaq.study import Study
from leaq.study.runner import cell_name
from leaq.training import TrainingConfig
from tests.unit.pipeline.finished.models import noisy, overfitted
from tests.unit.study.small import HEAD, small


def test_every_combination_is_one_cell_and_quantizers_are_none():
    study = small(embedders=("identity", "auto"), heads=(HEAD, TrainingConfig(hidden=())), quantizers=("study",))
    cells = study.cells()
    assert len(cells) == study.size == 2 * 2 * 2 * 2
    assert len({cell.digest() for cell in cells}) == len(cells)
    assert all(len(cell.quantizers) == 8 for cell in cells)


def test_cells_that_share_an_embedding_stand_side_by_side():
    pairs = [(cell.source, cell.embedder) for cell in small(embedders=("identity", "auto")).cells()]
    changes = sum(a != b for a, b in pairwise(pairs))
    assert changes == len(set(pairs)) - 1


def test_a_data_set_may_set_options_of_its_own():
    study = small(data=("wine", {"source": "diabetes", "skip_invalid": True}))
    assert {cell.source: cell.skip_invalid for cell in study.cells()} == {"wine": False, "diabetes": True}


def test_toml_there_and_back():
    study = small(data=({"source": "my.csv", "target": "y", "ignore": ["id"]}, "wine"), name="two")
    assert Study.from_toml_text(study.to_toml()) == study


def test_a_file_beside_the_study_file_is_found_from_anywhere(tmp_path):
    (tmp_path / "my.csv").write_text("y\n1\n")
    (tmp_path / "s.toml").write_text('data = [{source = "my.csv", target = "y"}, "wine"]')
    study = Study.from_toml(tmp_path / "s.toml")
    assert study.data[0]["source"] == str((tmp_path / "my.csv").resolve())
    assert study.data[1]["source"] == "wine"


@pytest.mark.parametrize("data", ['"my.csv"', '["my.csv"]', '{source = "my.csv"}'])
def test_one_entry_is_found_there_in_every_form(tmp_path, data):
    (tmp_path / "my.csv").write_text("y\n1\n")
    (tmp_path / "s.toml").write_text(f'data = {data}\nseeds = 3\nquantizers = "sign,uniform(bits=4)"\nheads = {{}}\n')
    [cell] = Study.from_toml(tmp_path / "s.toml").cells()
    assert (cell.source, cell.seed, len(cell.quantizers)) == (str((tmp_path / "my.csv").resolve()), 3, 2)


def test_of_two_files_of_one_name_none_is_taken(tmp_path, monkeypatch):
    """The one of the current folder was audited in place of the one beside the study file."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "wine").mkdir()
    (tmp_path / "studies" / "wine").mkdir()
    monkeypatch.chdir(tmp_path)
    for folder, value in ((tmp_path, 1), (tmp_path / "studies", 2)):
        (folder / "my.csv").write_text(f"y\n{value}\n")
    (tmp_path / "studies" / "s.toml").write_text('data = ["my.csv", "wine"]')
    with pytest.raises(InvalidInput, match="my.csv must be one file. Found another beside the study file"):
        Study.from_toml(tmp_path / "studies" / "s.toml")
    (tmp_path / "my.csv").write_text("y\n2\n")
    assert [one["source"] for one in Study.from_toml(tmp_path / "studies" / "s.toml").data] == ["my.csv", "wine"]


def test_a_variant_changes_options_of_all_cells_one_by_one(tmp_path):
    """A variant with other draws took the file's number of replicates away."""
    path = tmp_path / "s.toml"
    path.write_text('data = ["wine"]\n[audit]\nreplicates = 4\ndraws = 30\n[variants.quick.audit]\ndraws = 20\n')
    [cell] = Study.from_toml(path, variant="quick").cells()
    assert (cell.replicates, cell.draws) == (4, 20)


def test_heads_are_of_models_that_leaq_makes():
    """A recipe was run once a head, and its numbers named after widths it does not have."""
    heads = ({"hidden": (4,), "epochs": 2}, {"hidden": (8,), "epochs": 2}, {"hidden": (8,), "epochs": 3})
    own = ({"source": "digits", "model": "nets.py:make"}, {"source": "diabetes", "recipe": "train.py:train"})
    study = Study(data=("wine", *own), heads=heads, device="cuda")
    trainings = [(cell.source, cell.training.hidden, cell.training.epochs) for cell in study.cells()]
    usual = TrainingConfig()
    assert trainings[:3] == [("wine", (4,), 2), ("wine", (8,), 2), ("wine", (8,), 3)]
    assert trainings[3:] == [("digits", usual.hidden, 2), ("digits", usual.hidden, 3), ("diabetes", usual.hidden, 60)]
    assert study.size == 6
    assert {cell.training.device for cell in study.cells()} == {"cuda"}
    assert [cell_name(cell) for cell in study.cells()[-2:]] == ["digits auto make seed 0", "diabetes auto train seed 0"]
    released = study.cells()[-1].but(released="out/w.safetensors", members="m.csv")
    assert cell_name(released) == "diabetes auto train w seed 0"


def test_a_variant_replaces_entries(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('data = ["wine"]\nseeds = [0, 1, 2]\n[variants.quick]\nseeds = [7]\n')
    assert Study.from_toml(path).seeds == (0, 1, 2)
    assert Study.from_toml(path, variant="quick").seeds == (7,)
    with pytest.raises(InvalidInput, match=r"Unknown variant of .* 'quik'. Did you mean 'quick'\? Known: quick"):
        Study.from_toml(path, variant="quik")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('data = ["wine"]\nsedes = [1]', r"s.toml: unknown option 'sedes'. Did you mean 'seeds'\?"),
        ('data = ["wine"]\n[audit]\nreplicate = 4', r"unknown option 'replicate'. Did you mean 'replicates'\?"),
        ('data = [{source = "wine", tagret = "y"}]', r"unknown option 'tagret'. Did you mean 'target'\?"),
        ('data = ["wine"]\n[[heads]]\nhiden = [8]', r"hiden"),
        ('data = ["wine"]\nquantizers = ["sgn"]', r"Unknown quantizer 'sgn'.*Did you mean 'sign'\?"),
        ('data = ["wine"]\nembedders = ["ecpf4"]', r"Unknown embedder 'ecpf4'.*Did you mean 'ecfp4'\?"),
        ("data = []", r"data: must name at least one; an empty list leaves no cell to audit"),
        ('data = ["wine"]\nseeds = []', r"seeds: must name at least one"),
        ('data = ["wine"]\nseeds = [1, 1]', r"two cells of the grid are the same"),
        ('data = [{target = "y"}]', r"data\[0\]: source is required"),
        ('data = ["wine"]\n[audit]\nseed = 3', r"audit: 'seed' is an axis of the study; name it at the top level"),
        ('data = ["wine"]\n[audit]\nreplicates = 1', r"replicates: .*greater than or equal to 2.*found 1"),
        ('data = ["wine"]\nreplicates = 4', r"option 'replicates' stands in \[audit\]. Found it at the top level"),
        ('data = ["wine"]\nepochs = 4', r"option 'epochs' stands in \[\[heads\]\]. Found it at the top level"),
        ('data = ["wine"]\n[audit]\nepochs = 4', r"option 'epochs' stands in \[\[heads\]\]. Found it in audit"),
        ("data = [\n[", r"s.toml is not TOML: .*(line|end of document)"),
        ("seeds = [1]", r"option 'data' is required"),
    ],
)
def test_what_is_wrong_with_a_study_file_is_named(tmp_path, text, message):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=message):
        Study.from_toml(path)


def test_no_study_file(tmp_path):
    with pytest.raises(InvalidInput, match="There is no study file"):
        Study.from_toml(tmp_path / "none.toml")


def test_a_binary_file_is_no_study(tmp_path):
    (tmp_path / "s.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not UTF-8 text"):
        Study.from_toml(tmp_path / "s.toml")


def test_a_device_named_once_is_every_heads_and_otherwise_each_heads_own():
    heads = ({"hidden": (8,), "device": "cuda"}, {"hidden": (4,)})
    assert [cell.training.device for cell in Study(data=("wine",), heads=heads).cells()] == ["cuda", "cpu"]
    placed = Study(data=("wine",), heads=heads, device="cuda")
    assert {cell.training.device for cell in placed.cells()} == {"cuda"}
    assert Study.from_toml_text(placed.to_toml()) == placed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=" + "[" * 20_000, "is not TOML"),
        ("seeds=[" + "9" * 5000 + "]", "is not TOML"),
        ("data=['wine']\nseeds=[0, -1]", "greater than or equal to 0"),
        ("data=['wine']\nvariants=3", r"variants must be tables, \[variants.NAME\]"),
        ("data=['wine']\n[variants]\nquick=3", r"variants must be tables, \[variants.NAME\]"),
        ("data=['wine']\nself=1", "unknown option 'self'"),
        (f"data=['wine']\nseeds={list(range(60_000))}", "at most 50,000 cells, found 60,000; split it"),
    ],
    ids=lambda text: text[:20],
)
def test_study_files_that_cannot_be_are_refused_in_words(text, found):
    with pytest.raises(InvalidInput, match=found):
        Study.from_toml_text(text)


def test_networks_and_recipes_lie_beside_the_study_file(tmp_path, monkeypatch):
    here = tmp_path / "studies"
    here.mkdir()
    (here / "nets.py").write_text("def make(): ...\n")
    (here / "my.csv").write_text("a,y\n1,2\n")
    text = '[[data]]\nsource = "my.csv"\ntarget = "y"\n[audit]\nmodel = "nets.py:make"\n'
    (here / "study.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    [cell] = Study.from_toml(here / "study.toml").cells()
    assert cell.source == str(here / "my.csv")
    assert cell.model == f"{here / 'nets.py'}:make"
    assert Study.from_toml_text(text).cells()[0].model == "nets.py:make"


MIXED = """
seeds = [0, 1]
quantizers = ["sign"]
heads = [{ hidden = [4], epochs = 2, checkpoints = 3 }, { hidden = [], epochs = 2, checkpoints = 3 }]
[[data]]
source = "wine"
[[data]]
source = "w.safetensors"
model = "nets.py:make"
members = "a.npz"
nonmembers = "b.npz"
shipped = ["same=w.safetensors"]
[audit]
replicates = 4
neighbours = 5
draws = 20
"""


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    """A study file of trained and finished models, in a folder of its own."""
    here = tmp_path / "study"
    here.mkdir()
    (here / "study.toml").write_text(MIXED)
    x, y = noisy()
    save_file(overfitted(x[:60], y[:60]).state_dict(), here / "w.safetensors")
    np.savez(here / "a.npz", x=x[:60], y=y[:60])
    np.savez(here / "b.npz", x=x[60:], y=y[60:])
    (here / "nets.py").write_text(
        "from torch import nn\ndef make():\n    return nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 2))\n"
    )
    monkeypatch.chdir(tmp_path)
    return here


def test_the_folder_of_a_recorded_run_is_found_from_the_study_file(mixed):
    text = MIXED.replace('nonmembers = "b.npz"', 'nonmembers = "b.npz"\nrecorded = "run"')
    (mixed / "study.toml").write_text(text)
    (mixed / "run").mkdir()
    assert Study.from_toml(mixed / "study.toml").cells()[-1].recorded == str(mixed / "run")


def test_a_finished_model_is_a_cell_like_any_other(mixed):
    study = Study.from_toml(mixed / "study.toml")
    cells = study.cells()
    assert [cell.finished for cell in cells] == [False] * 4 + [True] * 2  # it has its embedder and its head
    assert study.size == len(cells)
    finished, trained = cells[-1], cells[0]
    assert (finished.neighbours, finished.replicates) == (5, 16)
    assert (trained.neighbours, trained.replicates) == (64, 4)
    store = leaq.run(study, mixed / "run")
    assert store.count() == 6
    alone = leaq.audit(finished)
    kept = next(one for one in store.finished() if one.config.get("kind") == "model" and one.config["seed"] == 1)
    assert kept.to_json(timings=False) == alone.to_json(timings=False)
    assert [row.label for row in kept.rows] == ["full precision", "sign", "same"]
    before = (store.folder / "results.csv").read_text()
    assert leaq.run(study, mixed / "run").count() == 6  # nothing is computed twice
    assert (store.folder / "results.csv").read_text() == before
    leaq.report(store, mixed / "page.html")


def test_missing_files_of_a_finished_model_are_named_before_the_start(mixed):
    (mixed / "b.npz").unlink()
    with pytest.raises(InvalidInput, match=r"Nothing was computed: b.npz cannot be found. There is no file 'b.npz'"):
        leaq.run(Study.from_toml(mixed / "study.toml"), mixed / "run")


def test_an_option_that_no_cell_has_a_use_for_is_refused(mixed):
    (mixed / "study.toml").write_text(MIXED.replace('[[data]]\nsource = "wine"\n', ""))
    with pytest.raises(InvalidInput, match="'replicates' is an option of models that are trained, and the study names"):
        Study.from_toml(mixed / "study.toml")
    with pytest.raises(InvalidInput, match="'neighbours' is an option of finished models, and the study names none"):
        Study(data=("wine",), audit={"neighbours": 5})


def test_a_mark_of_the_encoding_is_no_part_of_a_study(tmp_path):
    (tmp_path / "s.toml").write_bytes(b"\xef\xbb\xbf" + b'data = [{ source = "wine" }]\r\n')
    assert Study.from_toml(tmp_path / "s.toml").data == Study.from_toml_text('data = [{ source = "wine" }]').data
