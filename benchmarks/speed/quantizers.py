"""How long quantizing takes, against copying the same weights in the same run.

A stack of checkpoints of a 128-256-256-1 MLP is quantized with every scheme, on one thread; rounds of quantizing and of
copying the stack (`clone` of every tensor) take turns, and the best of each are compared, in processor time, with memory
that is reused and with memory fresh from the system. Calibrated schemes are timed on one stack of released models, batched and
one by one, and GPTQ beside brevitas' own GPTQ on the same model.
"""

import ctypes
import time
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from leaq.quantizers import Calibration, build, parse_list
from leaq.training import MLP
from leaq.types import Checkpoints

FAST = ("float16", "bfloat16", "float8", "sign", "uniform")
"""Measured on the whole stack; the others on a tenth of it."""
MODEL = MLP(d=128, k=1, hidden=(256, 256), task="regression")


def stack(count: int) -> Checkpoints:
    return Checkpoints(MODEL.init(0, range(count)), MODEL.roles, (count,))


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of one thread: unlike the clock, they do not count who else uses the machine."""
    started = time.process_time()
    result = work()
    elapsed = time.process_time() - started
    del result
    return elapsed


class Memory:
    """Where the pages of a result come from: from earlier results ("reused"), or from the system ("fresh").

    A fresh page costs more than copying what is written to it, and both sides pay for it alike; so the ratio to a copy
    is higher, and says more about the work itself, where memory is reused. glibc only.
    """

    MMAP_MAX, TRIM_THRESHOLD = -4, -1

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None)
        kept = self.libc.mallopt(self.MMAP_MAX, 0) and self.libc.mallopt(self.TRIM_THRESHOLD, 2**31 - 1)
        if not kept:
            raise SystemExit("Memory cannot be kept between rounds: this needs glibc.")

    def before(self, state: str) -> None:
        """Give what is free back to the system where memory shall be fresh."""
        if state == "fresh":
            self.libc.malloc_trim(0)


def ratio(
    memory: Memory, state: str, *, copy: Callable[[], object], work: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """Best seconds of the work, and their ratio to the best of a copy; rounds of the two take turns."""
    taken: list[list[float]] = [[], []]
    for _ in range(repeats):
        for side, todo in enumerate((copy, work)):
            memory.before(state)
            taken[side].append(seconds(todo))
    return min(taken[1]), min(taken[1]) / min(taken[0])


def plain(count: int, repeats: int, names: tuple[str, ...] | None) -> list[dict[str, object]]:
    given, memory, rows = stack(count), Memory(), []
    for scheme in parse_list("all"):
        if scheme.needs.calibration or scheme.needs.model or scheme.needs.extra or (names and scheme.name not in names):
            continue
        few = given if scheme.name in FAST else given.at(slice(0, count // 10))
        share = count / few.batch[0]

        def copy(few: Checkpoints = few) -> object:
            return {name: tensor.clone() for name, tensor in few.params.items()}

        found = []
        for state in ("reused", "fresh"):
            scheme(few.at(slice(0, 1)))
            found.append(ratio(memory, state, copy=copy, work=lambda q=scheme, c=few: q(c), repeats=repeats))
        rows.append(
            {
                "what": scheme.spec(),
                "at": count,
                "seconds": found[0][0] * share,
                "copies": found[0][1],
                "fresh": found[1][1],
            }
        )
    return rows


def calibrated(models: int) -> list[dict[str, object]]:
    given, rows = stack(models), []
    rng = np.random.default_rng(0)
    records = Calibration(MODEL, rng.normal(size=(512, 128)).astype(np.float32), rng.random((models, 512)) < 0.5)
    for spec in ("gptq(bits=4)", "adaround(bits=4)", "bias_correction(bits=4)", "equalised(bits=4)"):
        scheme = build(spec)

        def one_by_one(scheme: object = scheme) -> None:
            for i in range(models):
                own = replace(records, members=records.members[[i]], first=i)
                scheme(given.at(slice(i, i + 1)), own)  # type: ignore[operator]

        together, apart = seconds(lambda q=scheme: q(given, records)), seconds(one_by_one)
        rows.append({"what": spec, "models": models, "together": together, "apart": apart})
    try:
        peer = brevitas_gptq(records, given) * models
    except ImportError:
        return rows
    return [*rows, {"what": "brevitas' GPTQ, one by one", "models": models, "apart": peer}]


def measure(*, quick: bool) -> list[dict[str, object]]:
    torch.set_num_threads(1)
    return [*plain(100 if quick else 1000, 3 if quick else 5, FAST if quick else None), *calibrated(8 if quick else 32)]


def body(rows: list[dict]) -> str:
    alone, stacked = ([row for row in rows if key in row] for key in ("copies", "apart"))
    lines = [
        f"| scheme ({alone[0]['at']} checkpoints) | seconds | times a copy | times a copy, fresh memory |", "|---|---|---|---|",
        *(f"| `{row['what']}` | {row['seconds']:.2f} | {row['copies']:.1f} | {row['fresh']:.1f} |" for row in alone),
        f"\n| calibrated ({stacked[0]['models']} models, 256 records each) | batched s | one by one s |", "|---|---|---|",
    ]  # fmt: skip
    for row in stacked:
        lines.append(f"| {row['what']} | {row['together']:.2f} | {row['apart']:.2f} |" if "together" in row
                     else f"| {row['what']} | | {row['apart']:.2f} |")  # fmt: skip
    return "\n".join(lines)


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
