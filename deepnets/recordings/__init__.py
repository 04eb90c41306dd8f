"""What is known of a training: recordings of its layers."""

from deepnets.recordings.reading import read_recording
from deepnets.recordings.recorded import Recorded
from deepnets.recordings.recorder import Recorder
from deepnets.recordings.recording import Recording, RepeatedPasses

__all__ = ["Recorded", "Recorder", "Recording", "RepeatedPasses", "read_recording"]
