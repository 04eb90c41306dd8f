"""Networks that gradient flow trains: dense, of one output, in the NTK parameterisation."""

import deepnets


def flow_network(hidden_layers, width, activation="erf", w_std=1.5, b_std=0.1, d=3):
    return deepnets.Network(
        (d, *[width] * hidden_layers, 1), activation, parameterisation="ntk", w_std=w_std, b_std=b_std
    )
