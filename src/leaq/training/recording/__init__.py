"""Recording the weights of a training loop that belongs to somebody else."""

from leaq.training.recording.reading import read_recording
from leaq.training.recording.recorder import Recorder, RecorderConfig

__all__ = ["Recorder", "RecorderConfig", "read_recording"]
