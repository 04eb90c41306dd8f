"""What is known of a training: recordings of its layers."""

from deepnets.recordings.recording import Recording, RepeatedPasses

__all__ = ["Recording", "RepeatedPasses"]
