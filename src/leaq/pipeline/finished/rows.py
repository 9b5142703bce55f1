"""How the numbers of a finished model are made, and what it lacks for the others."""

from leaq.attacks.base import Ingredient
from leaq.attacks.registry import parse_attacks
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.rows import How
from leaq.types import Floats, LossTable

NO_SHADOWS = (
    "Needs shadow models: several models trained by the same rule on other records. "
    "leaq.audit with the table of records, recipe=... and released=this model trains them."
)
NO_FEATURES = "Needs inputs that are arrays of numbers, and outputs that are classes or values."
NO_REPLICATES = (
    "Needs a few replicates in full precision, each trained by the same rule on half of the records, so that every "
    "record is in some and out of others (leaq.attacks.forecast). "
    "leaq audit --effort forecast with a table of records instead of a model trains them."
)


def how_finished(config: AuditConfig, table: LossTable, features: Floats | None) -> How:
    """Return how every number is made: the attacks of a standard audit, and those that need no shadow models."""
    lacking: dict[Ingredient, str] = {"shadows": NO_SHADOWS}
    if features is None or table.scores is None:
        lacking["features"] = NO_FEATURES
    attacks = parse_attacks(["default", "threshold(per=label)", "quantile"])
    return How(
        config.level, config.draws, config.seed, attacks, "threshold",
        features=features, lacking=lacking, no_replicates=NO_REPLICATES,
    )  # fmt: skip
