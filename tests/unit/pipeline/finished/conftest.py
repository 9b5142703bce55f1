import pytest

from leaq.quantizers import Uniform
from tests.unit.pipeline.finished.models import audit_finished, noisy, overfitted


@pytest.fixture(scope="module")
def data():
    x, y = noisy()
    return (x[:60], y[:60]), (x[60:], y[60:])


@pytest.fixture(scope="module")
def model(data):
    return overfitted(*data[0])


@pytest.fixture(scope="module")
def result(model, data):
    return audit_finished(model, *data, quantizers=("sign", Uniform(bits=8)), draws=60, neighbours=12)
