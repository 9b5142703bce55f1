"""How long quantizing takes, against copying the same weights in the same run.

A stack of checkpoints of a 128-256-256-1 MLP is quantized with every scheme; each time is divided by the time of
copying the stack, measured just before it. Calibrated schemes are timed on one stack of released models, batched and
one by one, and GPTQ beside brevitas' own GPTQ on the same model.

    python benchmarks/quantizers.py [--checkpoints 1000] [--repeats 3]
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from leaq.quantizers import Calibration, build, parse_list
from leaq.training import MLP
from leaq.types import Checkpoints

MODEL = MLP(d=128, k=1, hidden=(256, 256), task="regression")


def stack(count: int) -> Checkpoints:
    return Checkpoints(MODEL.init(0, range(count)), MODEL.roles, (count,))


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    result = work()
    elapsed = time.perf_counter() - started
    del result
    return elapsed


def plain(count: int, repeats: int, quantizers: str) -> None:
    given = stack(count)
    print(f"| scheme ({count} checkpoints) | seconds | times a copy | range |\n|---|---|---|---|")

    def copy() -> object:
        return {name: tensor.clone() for name, tensor in given.params.items()}

    copy()
    for scheme in parse_list(quantizers):
        if scheme.needs.calibration or scheme.needs.model or scheme.needs.extra:
            continue
        few = given.at(slice(0, count // 10)) if scheme.name in ("kmeans", "uniform") and _slow(scheme) else given
        share = few.batch[0] / count
        scheme(few.at(slice(0, 1)))
        pairs = [(seconds(copy) * share, seconds(lambda q=scheme, c=few: q(c))) for _ in range(repeats)]
        ratios = sorted(taken / copied for copied, taken in pairs)
        taken = statistics.median(pair[1] for pair in pairs) / share
        spread = f"{ratios[0]:.1f}-{ratios[-1]:.1f}"
        print(f"| `{scheme.spec()}` | {taken:.2f} | {statistics.median(ratios):.1f} | {spread} |", flush=True)


def _slow(scheme: object) -> bool:
    return getattr(scheme, "scale", "") == "mse" or scheme.name == "kmeans"  # type: ignore[attr-defined]


def calibrated(models: int) -> None:
    given = stack(models)
    rng = np.random.default_rng(0)
    records = Calibration(MODEL, rng.normal(size=(512, 128)).astype(np.float32), rng.random((models, 512)) < 0.5)
    print(f"\n| calibrated ({models} models, 256 records each) | batched s | one by one s | ratio |\n|---|---|---|---|")
    for spec in ("gptq(bits=4)", "adaround(bits=4)", "bias_correction(bits=4)", "equalised(bits=4)"):
        scheme = build(spec)

        def one_by_one(scheme: object = scheme) -> None:
            for i in range(models):
                own = replace(records, members=records.members[[i]], first=i)
                scheme(given.at(slice(i, i + 1)), own)  # type: ignore[operator]

        together, apart = seconds(lambda q=scheme: q(given, records)), seconds(one_by_one)
        print(f"| `{spec}` | {together:.2f} | {apart:.2f} | {apart / together:.1f} |", flush=True)
    print(f"\nbrevitas GPTQ, one model at a time: {brevitas_gptq(records, given) * models:.2f} s for {models} models")


def brevitas_gptq(records: Calibration, given: Checkpoints) -> float:
    """Seconds that brevitas' own GPTQ takes for one model of the same layers, on the same records."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import brevitas.nn as qnn
        from brevitas.graph.gptq import gptq_mode
        from brevitas.quant import Int8WeightPerChannelFloat

        layers: list[torch.nn.Module] = []
        for i, (wide, out) in enumerate(((128, 256), (256, 256), (256, 1))):
            layer = qnn.QuantLinear(wide, out, bias=True, weight_quant=Int8WeightPerChannelFloat, weight_bit_width=4)
            layer.weight.data = given.params[f"layers.{i}.weight"][0].clone()
            layers += [layer, torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1]).eval()
        x = torch.as_tensor(records.inputs[records.rows[0]])

        def run() -> None:
            with torch.no_grad(), gptq_mode(model, use_quant_activations=False) as mode:
                for _ in range(mode.num_layers):
                    mode.model(x)
                    mode.update()

        return seconds(run)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", type=int, default=32, help="0 leaves the calibrated ones out")
    parser.add_argument("--quantizers", default="all")
    options = parser.parse_args()
    plain(options.checkpoints, options.repeats, options.quantizers)
    if options.models:
        calibrated(options.models)
