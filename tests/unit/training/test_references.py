"""References: trained on the members they are told, judged like networks, and worst where they keep their records."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.embedders import embed
from leaq.errors import InvalidInput
from leaq.models.nets.layout import GRAPHS
from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.measuring import measure_references
from leaq.results import CellResult
from leaq.results.redaction import shareable
from leaq.training import TrainingConfig
from leaq.training.references import REFERENCES, parse_references, reference_table
from leaq.types import AttackResult, silent
from tests.helpers import require

SMALL = {"forest": "forest(trees=20)", "boosting": "boosting(rounds=10)", "knn": "knn"}


def records(task, rng, n=160):
    x = rng.normal(size=(n, 4))
    signal = x[:, 0] + 0.3 * rng.normal(size=n)
    return embed(from_arrays(x, signal if task == "regression" else (signal > 0).astype(int), task=task))


@pytest.mark.parametrize("name", list(REFERENCES))
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_each_model_is_the_estimator_fitted_on_its_members(name, task, rng):
    samples = records(task, rng)
    members = halves(samples, 4, seed=1)
    reference = REFERENCES.build(SMALL[name])
    table, size = reference_table(reference, samples, members, seed=3)
    again, _ = reference_table(reference, samples, members, seed=3)
    assert np.array_equal(table.outputs, again.outputs)
    assert table.losses.shape == (4, 1, len(samples))
    assert np.isfinite(table.scores).all()
    inside, outside = table.losses[:, 0][members].mean(), table.losses[:, 0][~members].mean()
    assert inside < outside
    changed = replace(samples, targets=np.where(members[0], samples.targets, samples.targets[::-1]))
    first, _ = reference_table(reference, changed, members, seed=3)
    assert np.array_equal(first.outputs[0], table.outputs[0])  # what it did not train on it does not know
    assert size.bytes > 0
    assert 1 <= size.bits <= 64


def test_scores_are_those_of_the_estimator_by_hand(rng):
    from sklearn.neighbors import KNeighborsClassifier

    samples = records("classification", rng)
    members = halves(samples, 2, seed=1)
    table, _ = reference_table(REFERENCES.build("knn(weights=uniform)"), samples, members, seed=0)
    twin = KNeighborsClassifier(5).fit(samples.inputs[members[1]], samples.targets[members[1]])
    share = (twin.predict_proba(samples.inputs) * 5 + 1) / 7
    true = share[np.arange(len(samples)), samples.targets]
    np.testing.assert_allclose(table.losses[1, 0], -np.log(true))
    np.testing.assert_allclose(table.scores[1], np.log(true / (1 - true)))


def test_rows_say_what_attackers_find_and_what_cannot_be_asked(rng):
    samples = records("regression", rng)
    config = AuditConfig(source="x", replicates=8, draws=20, references=("knn", "forest(trees=20)"))
    rows = measure_references(config, samples, halves(samples, 8, seed=0), progress=silent)
    assert [row.label for row in rows] == ["nearest neighbours", "random forest"]
    worst, forest = (row.attacks["threshold"].advantage for row in rows)
    assert worst.value > 0.95  # it answers for a training record with that record's own label
    assert worst.value > forest.value > 0.2
    assert [flag.code for flag in rows[0].flags] == ["reference"]
    assert rows[0].metrics["r2"].low > 0
    file = [found for name, found in rows[0].attacks.items() if name.startswith("file")]
    assert not any(isinstance(found, AttackResult) for found in file)


def test_bad_input_is_refused(rng):
    samples = records("regression", rng)
    members = halves(samples, 2, seed=0)
    with pytest.raises(InvalidInput, match="columns of features. Found other inputs. Embed molecules with ecfp4"):
        reference_table(REFERENCES.build("forest"), replace(samples, flags=(GRAPHS,)), members, seed=0)
    with pytest.raises(InvalidInput, match="as many members as neighbours. Found 80. Ask fewer"):
        reference_table(REFERENCES.build("knn(neighbours=90)"), samples, members, seed=0)
    with pytest.raises(InvalidInput, match="forst"):
        parse_references(["forst"])


def test_an_audit_shows_references_below_its_quantizers_and_keeps_them():
    config = AuditConfig(
        source="wine", quantizers=("sign",), replicates=8, draws=20, references=("forest(trees=10)",),
        training=TrainingConfig(hidden=(8,), epochs=3, checkpoints=2),
    )  # fmt: skip
    result = audit(config)
    assert [row.label for row in result.shown()][-1] == "random forest"
    assert "random forest" not in [row.label for row in result.ranked()]
    assert "Below them: references. Brackets" in str(result)
    again = CellResult.from_json(result.to_json())
    assert again.references[0].metrics == result.references[0].metrics
    shown = result.frame()
    assert {"random forest"} <= set(shown["label"])
    assert all(
        found.risk is None for found in shareable(result).references[0].attacks.values() if hasattr(found, "risk")
    )


def test_references_of_a_graph_network_read_fingerprints(tmp_path):
    require("rdkit")
    lines = [f"{'C' * n}{tail},{n}" for n in range(1, 11) for tail in ("O", "N", "Cl", "F")]
    (tmp_path / "m.csv").write_text("\n".join(["smiles,y", *lines]) + "\n")
    config = AuditConfig(
        source=str(tmp_path / "m.csv"), smiles="smiles", target="y", model="dmpnn(hidden=4)", quantizers=("sign",),
        replicates=8, draws=20, references=("knn",), training=TrainingConfig(epochs=2, checkpoints=1),
    )  # fmt: skip
    result = audit(config)
    assert result.config["embedder"] == "molgraph"
    assert result.references[0].attacks["threshold"].advantage.low > 0
