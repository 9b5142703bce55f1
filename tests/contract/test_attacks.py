"""Every attack by every specification: what the contract promises of all of them, and broken ones that must fail."""

import re
from typing import ClassVar

import numpy as np
import pytest

from leaq.attacks.base import MISSING, Context
from leaq.attacks.calibrated import Calibrated
from leaq.attacks.lira import Lira
from leaq.attacks.registry import ATTACKS, attack_families, build_attack
from leaq.attacks.threshold import Threshold
from leaq.config import ConfigError
from leaq.errors import InvalidInput
from leaq.types import NotComputed
from tests.attack_tables import with_
from tests.contract import attacks as contract
from tests.contract.attacks import WORLDS, context_of, world

SPECS = attack_families()["all"]
OF_CLASSES = {spec for spec in SPECS if "classes" in build_attack(spec).needs}
CASES = [(spec, name) for spec in SPECS for name in WORLDS if name != "regression" or spec not in OF_CLASSES]
by_case = pytest.mark.parametrize(("spec", "name"), CASES)
by_spec = pytest.mark.parametrize("spec", SPECS)
SHADOWED = [spec for spec in SPECS if "shadows" in build_attack(spec).needs]


def test_every_attack_is_here():
    assert {build_attack(spec).name for spec in SPECS} == set(ATTACKS)
    assert set(attack_families()["default"]) <= set(SPECS)


@by_spec
def test_a_specification_builds_the_same_attack_again(spec):
    attack = build_attack(spec)
    assert attack.spec() == spec
    assert build_attack(attack.spec()) == attack
    assert type(attack).from_dict(attack.to_dict()) == attack
    assert len({attack, build_attack(spec)}) == 1


@by_spec
def test_unknown_options_are_refused(spec):
    name = build_attack(spec).name
    with pytest.raises(ConfigError, match="unknown option 'bogus'"):
        build_attack(f"{name}(bogus=1)")
    for option in type(build_attack(spec)).model_fields:
        with pytest.raises(ConfigError, match=option):
            build_attack(f"{name}({option}='neither this nor that')")


@by_spec
def test_words(spec):
    attack = build_attack(spec)
    context = context_of(world("2 classes"))
    assert attack.title()
    assert attack.explain().endswith(".")
    assert attack.source
    assert attack.access in {"outputs", "file"}
    assert [build_attack(other).short() for other in SPECS].count(attack.short()) == 1
    assert [build_attack(other).title() for other in SPECS].count(attack.title()) == 1
    assert attack.knows(context).startswith(("sees", "holds"))
    assert bool(re.search(r"\b10 (full-precision )?shadow models", attack.knows(context))) == (
        "shadows" in attack.needs
    )
    assert ("is told which" in attack.knows(context)) == (attack.tells != "nothing")
    assert set(attack.needs) <= set(MISSING)


@by_case
def test_scores_are_finite_and_the_same_bits_each_time(spec, name):
    contract.check_shape_and_bits(build_attack(spec), world(name))


@by_case
def test_no_membership_of_the_target_enters_its_scores(spec, name):
    attack = build_attack(spec)
    if attack.tells == "scores":
        with pytest.raises(AssertionError):
            contract.check_blind_to_the_target(attack, world(name))
    else:
        contract.check_blind_to_the_target(attack, world(name))


@by_case
def test_nothing_of_the_excluded_models_enters(spec, name):
    contract.check_blind_to_the_excluded(build_attack(spec), world(name))


@by_case
def test_nothing_is_found_where_nothing_leaks(spec, name):
    contract.check_finds_nothing(build_attack(spec), name)


@by_case
def test_a_planted_leak_is_found(spec, name):
    contract.check_finds_a_leak(build_attack(spec), world(name, leak=2.0))


def without(ingredient, context):
    """The same context less one ingredient."""
    table, reference, features = context.table, context.reference, context.features
    if ingredient == "shadows":
        first = {name: getattr(table, name)[:1] for name in ("losses", "members", "scores", "whitebox")}
        table = with_(table, **first, numbers={kind: values[:1] for kind, values in table.numbers.items()})
    elif ingredient == "reference":
        reference = None
    elif ingredient == "features":
        features = None
    else:
        table = with_(table, **{{"classes": "targets"}.get(ingredient, ingredient): None})
    return Context(table, reference, features=features)


@by_spec
def test_a_missing_ingredient_is_named(spec):
    attack = build_attack(spec)
    for ingredient in MISSING:
        poorer = without(ingredient, context_of(world("2 classes")))
        assert not poorer.has(ingredient)
        if ingredient in attack.needs:
            found = attack.run(poorer)
            assert isinstance(found, NotComputed)
            assert found.reason == f"{spec} needs {MISSING[ingredient]}."


def test_a_class_threshold_of_a_regression_is_not_computed():
    found = Threshold(per="label").run(context_of(world("regression")))
    assert "needs a classification whose classes are known" in found.reason


@by_spec
def test_values_that_are_not_finite_name_the_model(spec):
    attack = build_attack(spec)
    fields = {"scores", "whitebox"} & set(attack.needs) or ({"whitebox"} if attack.access == "file" else set())
    for field in fields:
        table = world("2 classes")
        values = getattr(table, field).copy()
        values[2, 5] = np.nan
        with pytest.raises(InvalidInput, match=rf"{field} must be finite. Found \d \(nan at \[2, 5"):
            attack.run(context_of(with_(table, **{field: values})))


@pytest.mark.parametrize("spec", SHADOWED)
def test_too_few_models_are_not_computed(spec):
    found = build_attack(spec).run(context_of(world("2 classes", models=4)))
    assert isinstance(found, NotComputed)
    assert re.search(r"needs at least \d (shadow )?models .*Found 2.*Add --replicates or --shadows", found.reason)


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("spec", [spec for spec in SHADOWED if spec != "file"])  # it asks for no record's shadows
def test_a_record_in_or_out_of_no_shadow_is_named(spec, value):
    table = world("2 classes")
    members = table.members.copy()
    members[:, 7] = value
    found = build_attack(spec).run(context_of(with_(table, members=members)))
    if value or build_attack(spec).sides == "both":
        assert isinstance(found, NotComputed)
        assert f"1 row (7) are {'out of none' if value else 'in none'} of" in found.reason
    else:
        assert found.auc.value > 0.5  # who looks at shadows that did not train on a record only does not mind


class Peeking(Lira):
    """Moves the scores of members a little: what it must not know."""

    name: ClassVar[str] = "peeking"

    def scores(self, context, targets, excluded=()):
        return super().scores(context, targets, excluded) + 0.05 * context.table.members[list(targets)]


class Complementary(Calibrated):
    """Takes the mean over all models that did not train on the record, the target's complement among them."""

    name: ClassVar[str] = "complementary"

    def scores(self, context, targets, excluded=()):
        signals, members = context.signals.of("auto"), context.table.members
        return np.stack([signals[t] - np.average(signals, axis=0, weights=~members) for t in targets])


class Deaf(Lira):
    """Uses the excluded models as shadows all the same."""

    name: ClassVar[str] = "deaf"

    def scores(self, context, targets, excluded=()):
        return super().scores(context, targets)


class Told(Lira):
    """Reads the members of its targets outright."""

    name: ClassVar[str] = "told"

    def scores(self, context, targets, excluded=()):
        return context.table.members[list(targets)] + 0.0


class Mute(Lira):
    """Finds nothing at all."""

    name: ClassVar[str] = "mute"

    def scores(self, context, targets, excluded=()):
        shape = len(targets), context.table.members.shape[1]
        return np.random.default_rng(len(targets)).normal(size=shape)


@pytest.mark.parametrize(
    ("attack", "check", "given"),
    [
        (Peeking(), contract.check_blind_to_the_target, world("2 classes")),
        (Complementary(), contract.check_blind_to_the_target, world("2 classes")),
        (Told(), contract.check_blind_to_the_target, world("regression")),
        (Deaf(), contract.check_blind_to_the_excluded, world("5 classes")),
        (Told(), contract.check_finds_nothing, "2 classes"),
        (Mute(), contract.check_finds_a_leak, world("2 classes", leak=2.0)),
        (Mute(), contract.check_shape_and_bits, world("2 classes")),
    ],
    ids=lambda item: getattr(item, "name", getattr(item, "__name__", "")),
)
def test_the_suite_catches_a_broken_attack(attack, check, given):
    with pytest.raises(AssertionError):
        check(attack, given)
