import numpy as np
import pandas as pd
import pytest

from leaq.data import Reading, load
from leaq.data.catalogue import TASKS
from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.data.targets import targets_of
from leaq.data.tasks import content_sha256, convert
from leaq.errors import InvalidInput, NotEnoughEvidence


@pytest.mark.parametrize(
    ("y", "task", "classes"),
    [
        (np.arange(40) % 2, "classification", ("0", "1")),
        ((np.arange(40) % 2).astype(float), "classification", ("0", "1")),
        (np.array(["yes", "no"] * 20), "classification", ("no", "yes")),
        (np.arange(40) % 2 == 0, "classification", ("False", "True")),
        (np.arange(40), "regression", ()),
        (np.arange(40) / 3, "regression", ()),
    ],
)
def test_the_task_is_read_off_the_target(rng, y, task, classes):
    samples = from_arrays(rng.normal(size=(40, 2)), y)
    assert (samples.task, samples.classes) == (task, classes)


SMILES = [f"{'C' * (i // 3 + 1)}{'ONF'[i % 3]}" for i in range(60)]


def assays(**more):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"smiles": SMILES, "toxic": rng.integers(0, 2, 60).astype(float), "logS": rng.normal(size=60)})
    frame["phase"] = [("gas", "liquid", "solid")[i % 3] for i in range(60)]
    frame.loc[::4, "toxic"] = np.nan
    frame.loc[1::4, "logS"] = np.nan
    frame.loc[2::7, "phase"] = None
    return frame.assign(**more)


def test_each_column_is_of_its_own_kind_and_holes_stay():
    found = load(assays(), smiles="smiles", target=["toxic", "logS", "phase"])
    assert [(t.name, t.kind, t.classes) for t in found.tasks] == [
        ("toxic", "classification", ("0", "1")), ("logS", "regression", ()),
        ("phase", "classification", ("gas", "liquid", "solid")),
    ]  # fmt: skip
    frame = assays()
    np.testing.assert_array_equal(np.isnan(found.targets[:, :2]), frame[["toxic", "logS"]].isna())
    np.testing.assert_array_equal(found.targets[:, 1], frame["logS"])
    assert next(f.text for f in found.flags if f.code == "holes").startswith("39 of 180 labels are missing (22 %)")


def test_the_same_by_commas_as_arrays_and_of_a_table_without_molecules(tmp_path):
    frame = assays().drop(columns="phase")
    frame.to_csv(tmp_path / "assays.csv", index=False)
    by_text = load(tmp_path / "assays.csv", smiles="smiles", target="toxic, logS")
    by_pair = load((np.array(SMILES), frame[["toxic", "logS"]]))
    np.testing.assert_array_equal(by_text.targets, by_pair.targets)
    assert by_text.tasks == by_pair.tasks
    plain = load((np.arange(120.0).reshape(60, 2) % 53, frame[["toxic", "logS"]].to_numpy()))
    assert [task.name for task in plain.tasks] == ["task0", "task1"]
    np.testing.assert_array_equal(plain.targets, by_text.targets)


def test_a_column_whose_name_holds_a_comma_is_one_target():
    frame = assays(logS=np.linspace(0, 1, 60)).rename(columns={"logS": "a,b"})
    assert load(frame, smiles="smiles", target="a,b").task == "regression"


def test_labels_of_one_molecule_are_brought_together():
    frame = assays()
    again = frame.iloc[[0, 1]].assign(smiles=["OC", "NC"], toxic=[1.0, 1 - frame["toxic"][1]], logS=[2.0, np.nan])
    found = load(pd.concat([frame, again]), smiles="smiles", target="toxic,logS", skip_invalid=True)
    assert len(found) == 59
    assert found.targets[0].tolist() == [1.0, (frame["logS"][0] + 2) / 2]
    assert 2 not in found.ids  # its only label was contradicted
    assert {"averaged-labels", "conflicting-labels"} <= {flag.code for flag in found.flags}


@pytest.mark.parametrize(
    ("change", "target", "text"),
    [
        ({"logS": np.nan}, "toxic,logS", r"every task needs labels. Found none in 'logS'. Leave it out of"),
        ({}, "toxic,logP", "there is no column 'logP' .--target."),
        ({"toxic": [np.nan] * 5 + [0.0, 1.0] * 27 + [0.0]}, "toxic,bare", r"Found none in 5 rows \(1, 2, 3, 4, 5\)"),
        ({"toxic": [0.0] * 59 + [1.0]}, "toxic,logS", "Class '1' of 'toxic' has 1"),
        ({"logS": [1.0, 2.5] + [np.nan] * 58}, "toxic,logS", "needs a label of at least one task"),
        ({"logS": ["many", *(0.5 + i for i in range(59))]}, "toxic,logS", "'logS' holds numbers but for 1 row"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_by_name(change, target, text):
    frame = assays(bare=[np.nan] * 5 + [0.5, 1.5, 2.5, 3.5, 4.5] * 11, **change)
    with pytest.raises(InvalidInput, match=text):
        load(frame, smiles="smiles", target=target)


def test_a_task_with_few_values_is_refused():
    frame = assays(logS=[0.5 + i if i < 9 else np.nan for i in range(60)], toxic=[0.0, 1.0] * 30)
    with pytest.raises(NotEnoughEvidence, match="needs at least 20 labels. Found 9 of 'logS'"):
        load(frame, smiles="smiles", target="toxic,logS")


def test_records_without_a_label_are_dropped_and_counted_where_asked_for():
    frame = assays(toxic=[np.nan] * 6 + [0.0, 1.0] * 27, logS=[np.nan] * 6 + [0.25 * i for i in range(54)])
    for options in ({"smiles": "smiles"}, {"ignore": ("smiles", "phase"), "group": None}):
        table = frame if "smiles" in options else frame.assign(x=np.arange(60) % 59 * 1.5)
        found = load(table, target="toxic,logS", skip_invalid=True, **options)
        assert len(found) == 54
        assert found.ids.min() == 7
        assert any(flag.code == "dropped-rows" for flag in found.flags)


def test_halves_balance_the_rarest_classes():
    frame = assays(toxic=[1.0] * 6 + [0.0] * 54)
    members = halves(load(frame, smiles="smiles", target="toxic,logS"), 20, seed=0)
    assert set(members[:, :6].sum(1)) == {3}
    np.testing.assert_array_equal(members[::2], ~members[1::2])


def test_tox21_is_converted_with_its_holes(tmp_path):
    entry = TASKS["tox21"]
    assert len(entry.targets) == 12
    assert entry.task == "multitask"
    names = [*entry.targets, "mol_id"]
    raw = pd.DataFrame({name: [0.0, 1.0, None, None] for name in names})
    raw["smiles"] = ["CCO", "no molecule", "CCN", "CCC"]
    raw.loc[2, "SR-p53"] = 1.0
    raw.to_csv(tmp_path / "tox21.csv", index=False)
    found = convert(tmp_path / "tox21.csv", entry)
    assert found.columns.tolist() == ["smiles", *entry.targets]
    assert found["smiles"].tolist() == ["CCO", "CCN"]
    assert content_sha256(found) != content_sha256(found.fillna(0))


def test_a_catalogued_task_of_several_targets_is_read(tmp_path):
    rng = np.random.default_rng(0)
    labels = {name: rng.integers(0, 2, 60).astype(float) for name in TASKS["tox21"].targets}
    frame = pd.DataFrame({"smiles": SMILES, **labels})
    frame.loc[5:, "SR-p53"] = np.nan
    frame.loc[0, "SR-p53"], frame.loc[1:4, "SR-p53"] = 0, [1, 1, 0, 0]
    frame.to_csv(tmp_path / "tox21.csv", index=False)
    found = load("tox21", data_dir=tmp_path)
    assert [task.name for task in found.tasks] == list(TASKS["tox21"].targets)
    assert int((~np.isnan(found.targets[:, -1])).sum()) == 5
    frame[["smiles", "NR-AR"]].to_csv(tmp_path / "tox21.csv", index=False)
    with pytest.raises(InvalidInput, match="this catalogued task needs the columns smiles,NR-AR,"):
        load("tox21", data_dir=tmp_path)


@pytest.mark.parametrize("layout", ["published", "numbered", "mol_id first"])
def test_tox21_as_it_is_published_works_by_name(tmp_path, layout):
    """Twelve columns of 0 and 1 with holes, mol_id and smiles, in the orders they are published in; made up here."""
    rng, names = np.random.default_rng(0), list(TASKS["tox21"].targets)
    labels = rng.integers(0, 2, (60, 12)).astype(float)
    labels[rng.random(labels.shape) < 0.4] = np.nan
    labels[:, 2] = np.arange(60) % 2
    frame = pd.DataFrame(labels, columns=names).assign(mol_id=[f"TOX{at}" for at in range(60)], smiles=SMILES)
    frame.loc[3, "smiles"] = "c1ccccc"  # some of the published ones cannot be read
    frame.loc[4, names] = np.nan
    if layout == "mol_id first":
        frame = frame[["mol_id", "smiles", *names]]
    frame.to_csv(tmp_path / "tox21.csv", index=layout == "numbered")
    found = load("tox21", data_dir=tmp_path)
    assert [task.name for task in found.tasks] == names
    assert {task.classes for task in found.tasks} == {("0", "1")}
    assert len(found) == 58
    kept = frame.drop([3, 4])
    np.testing.assert_array_equal(found.targets, kept[names].to_numpy())
    told = {flag.code: flag.text for flag in found.flags}
    assert "is as published; 2 of 60 rows have no label, or SMILES that cannot be read" in told["dropped-rows"]
    assert "no catalogued content" in told["unverified-data"]
    assert "labels are missing" in told["holes"]


def test_reading_takes_a_list():
    assert Reading(target=["a", "b"]).to_dict()["target"] == "a,b"


@pytest.mark.parametrize(
    ("labels", "codes"),
    [
        ([0, 1] * 40 + [-1] * 5, ["missing-codes"]),
        ([0.0, 1.0, 2.0] * 30 + [-2.0] * 5, ["missing-codes"]),
        ([-1, 0, 1] * 30, []),  # as often as the others: a class
        ([-1, 1] * 40, []),
    ],
)
def test_a_rare_negative_class_is_doubted(labels, codes):
    _, _, task, flags = targets_of(pd.Series(labels, name="y"), "t", Reading())
    assert task == "classification"
    assert [flag.code for flag in flags] == codes


@pytest.mark.parametrize(
    ("labels", "doubled"),
    [
        (["yes", "no", "1", "0"], "'0'/'no', '1'/'yes'"),
        (["TRUE", "FALSE", "0"], "'0'/'FALSE'"),
        (["\u00d6l", "O\u0308l", "Luft"], "'O\u0308l'/'\u00d6l'"),
        (["not toxic", "not  toxic", "toxic"], "'not  toxic'/'not toxic'"),
    ],
)
def test_classes_that_only_their_spelling_tells_apart_are_doubted(labels, doubled):
    _, classes, _, flags = targets_of(pd.Series(labels * 20, name="y"), "t", Reading())
    assert len(classes) == len(labels)
    assert [flag.code for flag in flags] == ["alike-classes"]
    assert doubled in flags[0].text


@pytest.mark.parametrize("labels", [["yes", "no"], ["0", "1"], ["0", "1", "unknown", "yes"], ["N", "O", "F"]])
def test_classes_that_more_than_their_spelling_tells_apart_are_not(labels):
    flags = targets_of(pd.Series(labels * 20, name="y"), "t", Reading())[3]
    assert [flag.code for flag in flags] == ["missing-codes"] * ("unknown" in labels)


def test_what_whole_numbers_were_taken_for_is_said(rng):
    stars = pd.Series(rng.integers(1, 6, 80), name="stars")
    _, _, task, flags = targets_of(stars, "t", Reading())
    assert (task, [flag.code for flag in flags]) == ("classification", ["guessed-task"])
    assert "--task regression" in flags[0].text
    _, _, task, flags = targets_of(pd.Series(rng.integers(0, 40, 200), name="y"), "t", Reading())
    assert (task, [flag.code for flag in flags]) == ("regression", ["guessed-task"])
    assert not targets_of(stars, "t", Reading(task="classification"))[3]
    assert not targets_of(pd.Series([0, 1, 2] * 30), "t", Reading())[3]
    assert not targets_of(pd.Series(np.arange(80)), "t", Reading())[3]  # none stands twice: values


@pytest.mark.parametrize("label", ["?", "unknown", "n.d.", "Missing"])
def test_classes_that_say_there_is_no_label_are_doubted(label):
    (flag,) = targets_of(pd.Series([label, *["active", "inactive"] * 20], name="y"), "t", Reading())[3]
    assert flag.code == "missing-codes"
    assert flag.text.startswith(f"{label!r} in 1 rows of 'y' counts as a class.")


@pytest.mark.parametrize(
    ("spell", "said"),
    [
        ("{:.2f} %", "take out what stands beside the numbers"),
        ("{:.2f} kcal", "such as '0.00 kcal'. To predict numbers, take out"),
        ("2020-01-{:05.2f}", "of dates make numbers"),
        ("number {:.2f}", "Name another target"),
    ],
)
def test_a_target_of_texts_is_refused_with_what_to_do(spell, said):
    column = pd.Series([spell.format(at / 7) for at in range(60)], name="y")
    with pytest.raises(InvalidInput, match=said):
        targets_of(column, "t", Reading())


def test_a_target_is_never_left_out_as_a_feature_is(rng):
    frame = pd.DataFrame({"a": rng.normal(size=40), "y": pd.date_range("2020-01-01", periods=40)})
    with pytest.raises(InvalidInput, match="Make numbers or names of classes of the target") as found:
        load(frame, target="y")
    assert "--ignore" not in str(found.value)
    many = pd.DataFrame({"a": rng.normal(size=400), "y": pd.Categorical(np.arange(400) % 30)})
    found = load(many, target="y")
    assert (found.task, found.classes[:3], found.classes[29]) == ("classification", ("0", "1", "2"), "29")
