"""A proven interval for the optimum: the rigorous maximum of the dual function G, which each search here bounds from above."""
