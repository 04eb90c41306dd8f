"""Finite networks against infinitely wide ones: gradient flow, starts, verdicts and powers of the width."""
