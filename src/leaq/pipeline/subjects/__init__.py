"""Where models come from: leaq's perceptron, a network or a training of the user's, a file that is released.

Every subject gives models in the same form, one chunk after the other; nothing after it knows which one it was.
"""

from leaq.pipeline.subjects.base import Subject, Trained
from leaq.pipeline.subjects.choice import embedder_of, origin_digest, subject_of
from leaq.pipeline.subjects.given import Given, request
from leaq.pipeline.subjects.heads import Heads

__all__ = ["Given", "Heads", "Subject", "Trained", "embedder_of", "origin_digest", "request", "subject_of"]
