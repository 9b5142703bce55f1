import torch

from leaq.quantizers import Equalised, Uniform
from tests.unit.quantizers.calibrating import calibration, models, outputs


def test_equalisation_keeps_the_function():
    scheme, given = Equalised(bits=8), models()
    x = torch.from_numpy(calibration().inputs)
    state = scheme.fit_model(given, calibration())
    rescaled = scheme.prepare(given, state)
    torch.testing.assert_close(outputs(rescaled, x), outputs(given, x))
    assert not torch.equal(rescaled.params["layers.0.weight"], given.params["layers.0.weight"])
    # What it is for: rows of one layer and the matching columns of the next have equal ranges.
    rows = rescaled.params["layers.0.weight"].abs().amax(2)
    columns = rescaled.params["layers.1.weight"].abs().amax(1)
    torch.testing.assert_close(rows, columns, rtol=0.05, atol=0)


def test_equalisation_helps_one_scale_per_tensor():
    given, x = models(), torch.from_numpy(calibration().inputs)
    errors = [
        (outputs(scheme(given, calibration()), x) - outputs(given, x)).square().mean()
        for scheme in (Equalised(bits=4), Uniform(bits=4, per="tensor"))
    ]
    assert errors[0] < errors[1] / 2


def test_dead_units_are_left_alone():
    given = models()
    given.params["layers.0.weight"][0, 2] = 0
    given.params["layers.1.weight"][1, :, 3] = 0
    for tensor in Equalised(bits=4)(given, calibration()).params.values():
        assert torch.isfinite(tensor).all()
