import numpy as np
import pytest

from leaq.decisions.evidence import Evidence
from leaq.decisions.knee import find_knee

NAMES = ("none", "dear", "bargain", "little")


def found(leaks, worst, *, apart=0.01, skill=0.4, error=0.001):
    """Find the knee of models whose leaks are known to `error`, full precision first."""
    count = len(leaks)
    evidence = Evidence(NAMES[:count], np.array([leaks]), np.array([np.eye(count) * error**2]), ("a",))
    apart = np.full((count, count), apart)
    return find_knee(evidence, np.array(worst), apart, skill=skill, labels=[name.upper() for name in NAMES[:count]])


def test_the_largest_share_of_leak_for_the_least_of_the_skill_is_taken():
    knee = found([0.8, 0.1, 0.3, 0.75], [0.0, 0.3, 0.02, 0.0])
    assert (knee.quantizer, knee.label, knee.before, knee.after) == ("bargain", "BARGAIN", 0.8, 0.3)
    assert knee.share == pytest.approx(0.5 / 0.8)
    assert (knee.may_lose, knee.skill_share) == (0.02, pytest.approx(0.05))
    assert knee.halves


@pytest.mark.parametrize(
    ("leaks", "worst", "options"),
    [
        ([0.8, 0.7], [0.0, 0.0], {}),  # less than a fifth of the leak goes
        ([0.8, 0.4], [0.0, 0.1], {}),  # half the leak for a quarter of the skill
        ([0.8, 0.4], [0.0, np.inf], {}),  # predicts nothing
        ([0.8, 0.4], [0.0, 0.0], {"apart": 0.5}),  # not told apart from full precision
        ([0.0, -0.1], [0.0, 0.0], {}),  # no leak that could go
        ([0.8, 0.4], [0.0, 0.0], {"skill": 0.0}),  # no skill that could stay
    ],
)
def test_what_is_no_bargain_is_no_knee(leaks, worst, options):
    assert found(leaks, worst, **options) is None


def test_more_than_half_is_said_only_beyond_doubt():
    assert found([0.8, 0.3], [0.0, 0.0], error=0.001).halves
    assert not found([0.8, 0.3], [0.0, 0.0], error=0.2).halves
    assert not found([0.8, 0.5], [0.0, 0.0]).halves
