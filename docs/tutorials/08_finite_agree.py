"""
Do my finite networks agree with infinite width?
================================================

Ensembles of finite networks are trained at several widths, every quantity is measured on them and extrapolated in 1/width, and a test of equivalence
says whether it agrees with the prediction to within ±5 %, does not, or cannot be told.
"""

import deepnets

comparison = deepnets.compare_with_infinite_width(
    hidden_layers=1, widths=(32, 64, 128), replicas=200, taus=(1.5,), progress=False
)
for found in comparison.agreements():
    if found.quantity in (
        "expected_square_error",
        "bayes_nll",
        "parameter_kl",
        "parameter_kl_infinite_width",
        "fisher_trace",
    ):
        print(f"{found.quantity}: {found.verdict}. {found.describe()}")

# %%
# Two hundred networks a width are a pilot. How many it takes to decide:

print(comparison.plan().describe(200))

# %%
# The information in the parameters against 1/width: trained networks, their line, and three predictions.

figure = deepnets.plotting.plot_quantity({"erf, one hidden layer": comparison}, "parameter_kl")
