"""The forecast as an audit shows it: what LiRA with 64 models would find, and how far it is off where LiRA was run.

An audit trains a few models anyway. With too few of them for the attack the forecast is all there is to say about it;
with enough, both are shown, and the attack that was run is forecast too: the difference tells how far to trust it.
"""

from collections.abc import Mapping

from leaq.attacks.forecast import SHADOWS, Forecast, forecast
from leaq.errors import NotEnoughEvidence
from leaq.types import AttackResult, Estimate, LossTable, NotComputed

__all__ = ["foreseen"]

FPR = 0.01
GAP = "same models; the two intervals set against each other end to end, so that it is wider than its level says"
Number = Estimate | NotComputed


def foreseen(
    table: LossTable, attacks: Mapping[str, AttackResult | NotComputed], *, level: float = 0.95, seed: int = 0
) -> dict[str, Number]:
    """Return what an audit says of LiRA beforehand: "forecast", "forecast_tpr", and beside the attack "forecast_gap".

    ``forecast_gap`` is the forecast for as many models as the table has, minus the advantage LiRA found with them.
    Direction: nearer 0 is better. Range: [-2, 2]. Do not read a gap of 0 as proof: both rest on the same models.

    Parameters
    ----------
    table : released models under one quantizer, with scores.
    attacks : what was run on it; only "lira" is looked at.
    """
    try:
        ahead = forecast(table, shadows=SHADOWS, fprs=(FPR,), level=level, seed=seed)
    except NotEnoughEvidence as err:
        missing = NotComputed(str(err))
        return {"forecast": missing, "forecast_tpr": missing}
    found: dict[str, Number] = {"forecast": ahead.advantage, "forecast_tpr": ahead.tpr[FPR]}
    run = attacks.get("lira")
    if isinstance(run, AttackResult):
        models = len(table.members) // 2 * 2
        same = ahead if models == SHADOWS else forecast(table, shadows=models, fprs=(), level=level, seed=seed)
        found["forecast_gap"] = _gap(same, run.advantage)
    return found


def _gap(same: Forecast, measured: Estimate) -> Estimate:
    said = same.advantage
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
