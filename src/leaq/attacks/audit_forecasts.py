"""The forecast as an audit shows it: what the combined attack would find with 64 models, beside what it found here.

An audit trains a few models anyway. With too few of them for the attack the forecast is all there is to say about it;
with enough, both are shown, and the difference tells what more shadow models are expected to add.
"""

from collections.abc import Mapping

from leaq.attacks.combined import Combined
from leaq.attacks.forecast import forecasts
from leaq.errors import NotEnoughEvidence
from leaq.types import AttackResult, Estimate, LossTable, NotComputed

FORECAST = Combined(sees="outputs").spec()
"""The attack that is forecast."""
FPR = 0.01
GAP = "same models; the two intervals set against each other end to end, so that it is wider than its level says"
Number = Estimate | NotComputed


def audit_forecasts(
    tables: Mapping[str, LossTable],
    attacks: Mapping[str, Mapping[str, AttackResult | NotComputed]],
    *,
    full: str | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, dict[str, Number]]:
    """Return, by quantizer, what an audit says of the attack beforehand: "forecast", "forecast_tpr", "forecast_gap".

    ``forecast_gap``, given where the attack was run, is the forecast for 64 models minus what it found with those of
    the audit. Direction: nearer 0, less is expected of more models. Range: [-2, 2].

    Parameters
    ----------
    tables : released models by quantizer, with scores.
    attacks : what was run on each; only the combined attack of who sees the outputs is looked at.
    full : which of them is full precision; without it nothing is borrowed between quantizers.
    """
    try:
        ahead = forecasts(tables, full=full, fprs=(FPR,), level=level, seed=seed)
    except NotEnoughEvidence as err:
        missing = NotComputed(str(err))
        return {name: {"forecast": missing, "forecast_tpr": missing} for name in tables}
    found: dict[str, dict[str, Number]] = {}
    for name, one in ahead.items():
        found[name] = {"forecast": one.advantage, "forecast_tpr": one.tpr[FPR]}
        run = attacks.get(name, {}).get(FORECAST)
        if isinstance(run, AttackResult):
            found[name]["forecast_gap"] = _gap(one.advantage, run.advantage)
    return found


def _gap(said: Estimate, measured: Estimate) -> Estimate:
    return Estimate(
        said.value - measured.value,
        said.low - measured.high,
        said.high - measured.low,
        said.n,
        said.level,
        said.unit,
        GAP,
        said.flags,
    )
