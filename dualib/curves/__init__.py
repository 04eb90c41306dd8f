"""Curves of bottleneck problems over β, and the fronts of hard clusterings beside them."""
