"""What is known of a training: recordings of its layers."""

from deepnets.recordings.frameworks import follow_equinox, follow_flax, follow_torch, keras_callback, kernels
from deepnets.recordings.reading import read_recording
from deepnets.recordings.recorded import Recorded
from deepnets.recordings.recorder import Recorder
from deepnets.recordings.recording import Recording, RepeatedPasses

__all__ = [
    "Recorded",
    "Recorder",
    "Recording",
    "RepeatedPasses",
    "follow_equinox",
    "follow_flax",
    "follow_torch",
    "keras_callback",
    "kernels",
    "read_recording",
]
