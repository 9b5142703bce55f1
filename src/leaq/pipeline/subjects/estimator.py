"""An unfitted scikit-learn estimator in place of a recipe: a clone of it is fitted once a model, with its own seed."""

from functools import partial
from typing import Any

from leaq.models.sklearn import is_sklearn
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.subjects.base import Kind
from leaq.pipeline.subjects.given import Given
from leaq.pipeline.subjects.recipe import OwnTraining
from leaq.types import Samples


def _fitted(estimator: Any, records: Samples, seed: int) -> Any:
    """Return a clone fitted on the members; whatever of it draws at random, steps of a pipeline too, has the seed."""
    from sklearn.base import clone

    own = clone(estimator)
    drawn = [name for name in own.get_params() if name.rpartition("__")[2] == "random_state"]
    return own.set_params(**dict.fromkeys(drawn, seed)).fit(records.inputs, records.targets)


def _asked(config: AuditConfig, given: Given) -> OwnTraining | None:
    wanted = callable(getattr(given.recipe, "fit", None)) and is_sklearn(given.recipe)
    return OwnTraining(partial(_fitted, given.recipe), config.seed) if wanted else None


# After a released file, which asks for its own shadow models; before a recipe that is called.
SUBJECT = Kind(_asked, place=15, options=("recipe",))
