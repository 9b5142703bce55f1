import numpy as np
import pandas as pd

from leaq.study import Store, run_study
from leaq.system.locks import Lock
from tests.unit.study.small import small


def events(seen, kind):
    return [event.cell for event in seen if event.kind == kind]


def test_every_cell_is_computed_once_and_found_again(tmp_path):
    study, seen = small(), []
    first = run_study(study, tmp_path / "run", watch=seen.append)
    assert (first.computed, first.found, first.failures) == (4, 0, ())
    assert seen[0].kind == "plan"
    assert "4 cells (2 pairs of data set and embedder), 16 models to train" in seen[0].text
    assert "each serves 2 quantizers" in seen[0].text
    estimate = next(event for event in seen if event.kind == "estimate")
    assert estimate.seconds > 0
    assert "GiB a task" in estimate.text
    assert seen[-1].share == 1
    again = run_study(study, tmp_path / "run")
    assert (again.computed, again.found) == (0, 4)


def test_a_damaged_cell_is_computed_again_and_reported(tmp_path):
    run_study(small(), tmp_path / "run")
    table = (tmp_path / "run" / "results.csv").read_bytes()
    path = min((tmp_path / "run" / "cells").glob("wine*[0-9a-f].json"))
    path.write_bytes(path.read_bytes()[:100])
    seen = []
    outcome = run_study(small(), tmp_path / "run", watch=seen.append)
    assert (outcome.computed, outcome.found) == (1, 3)
    assert [aside.name for aside in outcome.damaged] == [path.with_suffix(".damaged").name]
    assert "1 damaged files were set aside" in outcome.describe()
    assert len(events(seen, "damaged")) == 1
    assert (tmp_path / "run" / "results.csv").read_bytes() == table


def test_a_damaged_private_part_costs_its_cell_however_often_it_is_asked_for(tmp_path):
    run_study(small(), tmp_path / "run")
    table = (tmp_path / "run" / "results.csv").read_bytes()
    path = min((tmp_path / "run" / "private").glob("wine*.json"))
    before = path.read_bytes()
    path.write_bytes(before[:100])
    outcome = run_study(small(), tmp_path / "run")
    assert (outcome.computed, outcome.found) == (1, 3)
    assert [aside.name for aside in outcome.damaged] == [path.with_suffix(".damaged").name]
    assert path.read_bytes() == before
    assert (tmp_path / "run" / "results.csv").read_bytes() == table


def test_what_another_process_computes_is_left_to_it(tmp_path, monkeypatch):
    """The lock of one cell is held elsewhere and given up unfinished after a while: then it is ours."""
    study = small(data=("wine",))
    probe = run_study(study, tmp_path / "probe")
    keys = sorted(path.name for path in (tmp_path / "probe" / "locks").glob("wine-*"))
    assert probe.computed == len(keys) == 2
    store = Store.open(tmp_path / "run", study)
    held = Lock.take(store.folder / "locks" / keys[0])
    looks = []

    def look(_seconds):
        looks.append(1)
        if len(looks) == 2:
            held.release()

    monkeypatch.setattr("leaq.study.runner.time.sleep", look)
    seen = []
    outcome = run_study(study, tmp_path / "run", watch=seen.append)
    assert outcome.computed == 2
    assert len(looks) == 2
    kinds = [event.kind for event in seen if event.kind != "stage"]
    assert kinds.index("elsewhere") < len(kinds) - 1 - kinds[::-1].index("done")
    assert len(events(seen, "done")) == 2


def test_changed_records_never_read_a_stale_result(tmp_path, rng):
    path = tmp_path / "my.csv"
    frame = pd.DataFrame({"a": rng.normal(size=60), "y": np.arange(60) % 2})
    frame.to_csv(path, index=False)
    study = small(data=({"source": str(path), "target": "y"},), seeds=(0,))
    run_study(study, tmp_path / "run")
    before = (tmp_path / "run" / "results.csv").read_bytes()
    frame.assign(a=frame["a"] * (1 + np.arange(60))).to_csv(path, index=False)
    outcome = run_study(study, tmp_path / "run")
    assert outcome.computed == 1
    assert (tmp_path / "run" / "results.csv").read_bytes() != before
    assert len(Store(tmp_path / "run").finished()) == 1


def test_how_long_a_recipe_takes_is_not_told_from_other_models(tmp_path):
    """It was estimated as a perceptron of leaq's own: minutes for a second."""
    recipe = "from sklearn.linear_model import LogisticRegression\n"
    recipe += "def train(records, seed):\n    return LogisticRegression().fit(records.inputs, records.targets)\n"
    (tmp_path / "train.py").write_text(recipe)
    own = {"source": "wine", "recipe": f"{tmp_path / 'train.py'}:train"}
    seen = []
    outcome = run_study(small(data=("wine", own), seeds=(0,)), tmp_path / "run", watch=seen.append)
    assert (outcome.computed, events(seen, "estimate")) == (2, [])
    assert events(seen, "done") == ["wine auto 8 seed 0", "wine auto train seed 0"]
