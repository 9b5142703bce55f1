"""Several releases of the same models, attacked together: planted tables whose releases differ by noise alone."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.combined import Combined
from leaq.attacks.registry import parse_attacks
from leaq.attacks.signals import Signals, together
from leaq.errors import InvalidInput
from leaq.types import AttackResult, NotComputed
from tests.attack_tables import planted, with_file

TASKS = ("classification", "regression")


def releases(rng, count, *, leak, task, noise=2.0):
    """The same models released `count` times, each time with noise of its own."""
    table = planted(rng, models=16, n=240, leak=leak, task=task)
    found = []
    for _ in range(count):
        scores = table.scores + noise * rng.normal(size=table.scores.shape)
        losses = scores**2 if task == "regression" else np.logaddexp(0, -scores)
        found.append(replace(table, scores=scores, losses=losses[:, None], whitebox=None))
    return found


def leak(table, *beside, sees="outputs", features=None):
    found = Combined(sees=sees).run(Context(table, beside=beside, features=features))
    assert isinstance(found, AttackResult)
    return found.advantage


@pytest.mark.parametrize("task", TASKS)
def test_several_noisy_releases_leak_more_than_one(rng, task):
    one, *more = releases(rng, 4, leak=3.0, task=task, noise=2.0 if task == "classification" else 1.0)
    single, joint = leak(one), leak(one, *more)
    assert joint.value > single.value + 0.1
    assert joint.low > single.value


@pytest.mark.parametrize("task", TASKS)
def test_the_same_release_twice_leaks_as_one(rng, task):
    one = planted(rng, models=16, n=240, leak=1.5, task=task)
    assert leak(one, one, one).value == pytest.approx(leak(one).value, abs=0.03)
    assert leak(one, one, sees="file").value == pytest.approx(leak(one, sees="file").value, abs=0.03)


@pytest.mark.parametrize("task", TASKS)
def test_releases_that_leak_nothing_leak_nothing_together(rng, task):
    found = leak(*releases(rng, 4, leak=0.0, task=task))
    assert abs(found.value) < 0.08
    assert found.low < 0.01


def test_files_of_several_releases_add_up_too(rng):
    one = planted(rng, models=16, n=240, leak=0.0)
    members = one.members[:, :, None]
    files = [replace(one, whitebox=members + 2.0 * rng.normal(size=(*one.members.shape, 1))) for _ in range(4)]
    assert leak(*files, sees="file").value > leak(files[0], sees="file").value + 0.1
    assert leak(*files, sees="outputs").high > 0 > leak(*files, sees="outputs").low


def test_numbers_of_every_file_are_read(rng):
    """Files whose statistics are blurred each on its own tell more together, whichever comes first."""
    bare = replace(planted(rng, models=16, n=240, leak=0.0), whitebox=None)
    _, features = with_file(rng, bare)
    files = []
    for _ in range(3):
        sums = bare.members @ (features - features.mean(0)) / bare.members.sum(1, keepdims=True)
        files.append(replace(bare, numbers={"scaler.mean": sums + 0.7 * sums.std() * rng.normal(size=sums.shape)}))
    alone = leak(files[0], sees="file", features=features)
    assert alone.low > 0.05
    assert leak(*files, sees="file", features=features).value > alone.value + 0.05
    assert leak(bare, *files, sees="file", features=features).value == pytest.approx(0, abs=0.08)
    assert leak(*files, sees="file").value == pytest.approx(0, abs=0.08)


def test_the_mean_release_is_that_of_the_normalised_signals(rng):
    one, other = releases(rng, 2, leak=1.0, task="regression")
    signed, square = together([Signals(one), Signals(other)])
    assert np.array_equal(signed, (Signals(one).of("auto") + Signals(other).of("auto")) / 2)
    assert np.corrcoef(square.ravel(), np.log(signed**2).ravel())[0, 1] > 0.9
    assert len(together([Signals(each) for each in releases(rng, 2, leak=1.0, task="classification")])) == 1


def test_an_attack_that_reads_one_release_says_so(rng):
    one, other = releases(rng, 2, leak=1.0, task="classification")
    context = Context(one, reference=one, features=rng.normal(size=(240, 3)), beside=(other,))
    found = {attack.spec(): attack.run(context) for attack in parse_attacks(["all"])}
    joined = {spec for spec, result in found.items() if isinstance(result, AttackResult)}
    assert joined == {"combined(sees=outputs)", "combined", "combined(codes=True)"}
    assert found["threshold"] == NotComputed("threshold attacks one release. Several together are read by combined.")
    assert found["combined(sees=outputs)"].attacker.startswith("sees the outputs of 2 quantized releases of the model")
    assert found["combined"].attacker.startswith("holds 2 quantized releases of the model, files and all")


def test_releases_of_other_models_are_refused(rng):
    one, other = planted(rng), planted(rng)
    with pytest.raises(InvalidInput) as refused:
        Context(one, beside=(other,))
    assert str(refused.value) == (
        "Context: tables beside must hold the same models and records as the table, in the same order."
    )
