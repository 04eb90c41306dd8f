"""What the papers' programs share: types, trained networks and their planes, bottleneck curves, numbers read off planes."""
