import numpy as np
import torch

from leaq.quantizers import build
from leaq.quantizers.disturbed import Gaussian, Pruned, Single
from tests.unit.quantizers.cases import weights


def test_codes_are_the_bits_of_what_is_left():
    bits = Pruned(sparsity=0.5)
    weight = weights(0, 2, 3, 7).float()
    scales = bits.fit(weight)
    left = bits.fake_quantize(weight, scales)
    codes = bits.encode(weight, scales)
    assert codes.flatten().tolist() == left.numpy().view(np.uint32).flatten().tolist()
    assert torch.equal(bits.decode(codes, scales), left)
    assert (bits.levels, bits.codebook()) == (2**32, "continuous")


def test_pruning_drops_the_smallest_and_keeps_the_others_as_they_are():
    weight = weights(1, 3, 5, 8)
    scheme = Pruned(sparsity=0.75)
    for model, left in zip(weight, scheme.fake_quantize(weight, scheme.fit(weight)), strict=True):
        order = model.abs().flatten().argsort()
        dropped, kept = order[:30], order[30:]
        assert (left.flatten()[dropped] == 0).all()
        assert torch.equal(left.flatten()[kept], model.flatten()[kept].float().double())


def test_noise_is_as_large_as_asked_for_and_another_for_every_model():
    weight = weights(2, 2, 100, 200).float()
    scheme = Gaussian(sd=0.5)
    noise = scheme.fake_quantize(weight, scheme.fit(weight)) - weight
    for model, own in zip(weight, noise, strict=True):
        assert abs(float(own.std() / model.std()) - 0.5) < 0.01
        assert abs(float(own.mean())) < 0.01
    both = torch.corrcoef(noise.flatten(1))
    assert abs(float(both[0, 1])) < 0.03


def test_the_same_weights_get_the_same_noise():
    weight = weights(3, 1, 4, 5).float()
    first, again = (build("gaussian(sd=0.5)").fake_quantize(weight, Gaussian(sd=0.5).fit(weight)) for _ in range(2))
    assert torch.equal(first, again)
    assert issubclass(Gaussian, Single)
