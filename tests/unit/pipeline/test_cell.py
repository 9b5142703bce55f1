import pytest

from leaq.errors import InvalidInput
from leaq.pipeline.cell import AuditConfig
from leaq.training import TrainingConfig


def test_families_are_spelled_out_once_each():
    config = AuditConfig(source="wine", quantizers=("study", "sign"))
    assert config.quantizers[0] == "sign"
    assert len(config.quantizers) == len(set(config.quantizers)) == 8


def test_round_trip():
    config = AuditConfig(source="x.csv", target="y", quantizers=("uniform(bits=3, per=tensor)",), seed=3)
    assert AuditConfig.from_dict(config.to_dict()) == config


def test_an_unknown_quantizer_is_refused_with_the_closest():
    with pytest.raises(InvalidInput, match=r"Unknown quantizer 'sgn'.*Did you mean 'sign'\? Known: "):
        AuditConfig(source="wine", quantizers=("sgn",))


@pytest.mark.parametrize(
    ("options", "text"),
    [({"replicates": 1}, "replicates"), ({"seed": -1}, "seed"), ({"level": 0.2}, "level"), ({"task": "x"}, "task")],
)
def test_options_out_of_range_are_named(options, text):
    with pytest.raises(InvalidInput, match=text):
        AuditConfig(source="wine", **options)


def test_effort_says_how_many_replicates_unless_another_number_is_given():
    counts = [AuditConfig(source="wine", effort=effort).replicates for effort in ("forecast", "standard", "deep")]
    assert counts == [8, 16, 64]
    assert AuditConfig(source="wine", effort="deep", replicates=12).replicates == 12
    assert AuditConfig(source="wine", effort="deep", replicates=16).replicates == 64  # as the command line passes it
    again = AuditConfig.from_dict(AuditConfig(source="wine", effort="deep").to_dict())
    assert again.replicates == 64
    with pytest.raises(InvalidInput, match="effort"):
        AuditConfig.from_dict({"source": "wine", "effort": "most"})


def test_chemprop_brings_its_recipe_and_what_is_given_replaces_it():
    training = AuditConfig(source="x.csv", model="chemprop(hidden=64)").training
    assert (training.epochs, training.batch_size, training.schedule) == (50, 64, "warmup")
    assert training.standardise == "members"
    given = AuditConfig(source="x.csv", model="chemprop", training={"epochs": 7, "standardise": "pool"})
    assert (given.training.epochs, given.training.batch_size, given.training.standardise) == (7, 64, "pool")
    assert AuditConfig.from_dict(given.to_dict()) == given
    assert AuditConfig(source="x.csv", model="dmpnn").training.epochs == TrainingConfig().epochs
