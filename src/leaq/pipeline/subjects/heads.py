"""leaq's own model: perceptrons on the embedded records."""

from dataclasses import dataclass
from typing import ClassVar

from leaq.pipeline.subjects.base import Kind, Reads, Trained
from leaq.training import MLP, TrainingConfig, chunks, train
from leaq.types import Bools, Progress, Samples


@dataclass(frozen=True)
class Heads:
    """Multilayer perceptrons, all of a chunk trained as one tensor program."""

    training: TrainingConfig
    seed: int

    reads: ClassVar[frozenset[Reads]] = frozenset({"rows"})

    def network(self, samples: Samples) -> MLP:
        """Return the perceptron."""
        return MLP.of(samples, self.training.hidden)

    def parts(self, samples: Samples, models: int) -> list[slice]:
        """Return as many at once as memory allows."""
        return chunks(samples, models, self.training)

    def train(self, samples: Samples, members: Bools, *, which: slice, progress: Progress) -> Trained:
        """Train the models `which`."""
        return Trained(*train(samples, members, self.training, seed=self.seed, first=which.start, progress=progress))


SUBJECT = Kind(lambda config, _: Heads(config.training, config.seed), place=90)
