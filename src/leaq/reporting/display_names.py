"""What numbers are called when people read them, and which way they are good. Nothing here computes."""

from collections.abc import Iterable
from typing import Literal

from leaq.attacks.registry import attack_families, short_name, title_of
from leaq.results.metrics import metric
from leaq.types import Flag

__all__ = ["attack_name", "flag_words", "game_words", "in_reading_order", "indicator", "metric", "short_attack"]


_TOKEN_ATTACKS = {
    "reference": ("loss attack calibrated by a reference model", "Reference model"),
    "min-k": ("Min-K% attack on the least likely tokens", "Min-K%"),
    "min-k++": ("Min-K%++ attack on the least likely tokens for their place", "Min-K%++"),
    "wbc": ("window-based comparison with a reference model", "WBC"),
}

_INDICATORS = {
    "leak_vs_full": (
        "leak − full precision",
        "Advantage of the leading attack minus that in full precision, paired; intervals hold for all pairs at once.",
    ),
    "leak_vs_least": (
        "leak − least",
        "Advantage minus that of the row that leaks least, paired; an interval that holds 0 is not told apart from it.",
    ),
    "leak_vs_single": (
        "leak − one release",
        "Advantage against several releases together minus that against the most revealing of them alone, paired.",
    ),
    "leak_vs_elsewhere": (
        "leak − calibrated elsewhere",
        "Advantage minus that of the same quantizer calibrated on records that train no model, paired: the price of "
        "calibrating on members.",
    ),
    "leak_vs_unknown": (
        "leak − model unknown",
        "Advantage minus that of an attacker who does not hold the model in full precision, paired.",
    ),
    "forecast": (
        "forecast",
        "Advantage that the combined attack (outputs) with 64 models is expected to find; smaller is safer.",
    ),
    "forecast_one": (
        "estimate from one model",
        "Advantage that the combined attack (outputs) with 64 shadow models is estimated to find, from this "
        "model alone, which is rough; smaller is safer.",
    ),
    "forecast_tpr": ("forecast TPR", "Members it is expected to find at 1 % false positives; smaller is safer."),
    "forecast_gap": (
        "forecast − found",
        "Forecast for 64 models minus what the same attack found with those of this audit.",
    ),
    "r": ("r", "Rate at which the leak falls with the number of records, for this set of candidates; larger is safer."),
    "n_r": ("n·r", "r times the number of training records; below about 3, r says little."),
    "asymptotic": ("exp(-n·r)", "Asymptotic value of the leak; neither a bound nor a forecast for small n·r."),
    "chernoff": ("Chernoff r", "Exponent for a fixed codebook (Cramer-Chernoff); larger is safer."),
    "union_bound": ("union bound", "2 Σ exp(-n r_C,k): bounds the leak over these candidates; 1 says nothing."),
    "finite_sample": ("finite-sample leak", "Leak of the learner that picks the best candidate, at this n."),
    "r_halved": (
        "r, halved set",
        "r with every other candidate left out; where it changes the order, do not rank by r.",
    ),
    "distortion": ("distortion", "How far quantization moved the outputs, relative to their variance."),
    "correlation": ("correlation", "How well quantized outputs follow the original ones; 1 up to scale and shift."),
    "adaptive_gap": (
        "adaptive gap",
        "AUC that an attacker with equally quantized shadow models gains over one with full-precision ones.",
    ),
    "adaptive_gap_raw": (
        "adaptive gap, raw signals",
        "The same where neither attacker takes models' common moves out of the signals: what a careless audit misses.",
    ),
    "loss_tnr": (
        "loss TNR",
        "Other records whose loss lies above that of 99 % of the members (The Tail Tells All); 0.01 where none leaks.",
    ),
    "run_risk": ("risk from one run", "Which members a recorded run exposes most; by record, in the internal report."),
    "loss_gap": ("loss gap", "Mean loss outside minus inside the training data; near 0 without overfitting."),
}

_GAMES = {
    "pool": "members are a random half of a pool of records that the attacker knows",
    "calibration": "members are a random half of a pool that trained no model: the half a quantizer was calibrated on",
    "series": "members are a random half of the groups of records, each whole; the attacker asks about a group",
    "released": "members are the records that trained the released model; the attacker knows the pool they are from",
    "iid": "members and the others are taken to be drawn alike from one population",
}


def in_reading_order(keys: Iterable[str], kind: Literal["attack", "indicator"]) -> list[str]:
    """Return distinct keys in the order people expect them, unknown ones last."""
    known = list(attack_families()["all"] if kind == "attack" else _INDICATORS)
    distinct = list(dict.fromkeys(keys))
    return sorted(distinct, key=lambda key: (known.index(key) if key in known else len(known), key))


def attack_name(key: str) -> str:
    """Name an attack in a sentence."""
    return _TOKEN_ATTACKS[key][0] if key in _TOKEN_ATTACKS else title_of(key)


def short_attack(key: str) -> str:
    """Name an attack in a table head or legend."""
    return _TOKEN_ATTACKS[key][1] if key in _TOKEN_ATTACKS else short_name(key)


def indicator(key: str) -> tuple[str, str]:
    """Return the symbol of an indicator and what it tells."""
    return _INDICATORS.get(key, (key.replace("_", " "), ""))


def game_words(game: str) -> str:
    """Say how members were drawn."""
    return _GAMES.get(game, f"members are drawn in the game {game!r}")


def flag_words(flag: Flag) -> str:
    """Return the sentence of a flag, with its full stop."""
    return flag.text if flag.text.endswith((".", "!", "?")) else f"{flag.text}."
