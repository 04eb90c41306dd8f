"""Training of networks: settings, random numbers, compiled steps, the loop, and the experiments of the literature."""
