"""Joint distributions to try things on, small and large, exact and sampled, and what they are made of."""

from dualib.examples.channels import hamming, toy
from dualib.examples.icosahedral import icosahedral_patterns, icosahedral_score, icosahedron
from dualib.examples.images import digit_images, digits, mnist_images

__all__ = [
    "digit_images",
    "digits",
    "hamming",
    "icosahedral_patterns",
    "icosahedral_score",
    "icosahedron",
    "mnist_images",
    "toy",
]
