import numpy as np

from leaq.data.tables import from_arrays
from leaq.pipeline.measuring import describe_data
from leaq.types import Flag


def test_aggregates_of_the_records_and_no_record(rng):
    samples = from_arrays(np.repeat(rng.normal(size=(20, 3)), 2, axis=0), np.arange(40) // 2 % 2)
    members = np.arange(40) < np.array([20, 24])[:, None]
    found = describe_data(samples, members)
    assert {key: found[key] for key in ("task", "n", "n_train", "features", "duplicates", "game")} == {
        "task": "classification", "n": 40, "n_train": 22, "features": 3, "duplicates": 20, "game": "pool",
    }  # fmt: skip
    assert found["classes"] == {"0": 20, "1": 20}
    assert all(isinstance(value, str | int | float | dict) for value in found.values())


def test_groups_that_were_asked_for_are_no_duplicates(rng):
    samples = from_arrays(rng.normal(size=(40, 3)), rng.normal(size=40), groups=np.arange(40) // 4)
    asked = samples.with_inputs(samples.inputs, Flag("grouped", "Patients stay on one side."))
    found = describe_data(asked, np.ones((1, 40), bool))
    assert found["groups"] == 10
    assert "duplicates" not in found
    assert found["target_sd"] == float(np.std(samples.targets))
