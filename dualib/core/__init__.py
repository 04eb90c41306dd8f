"""The ground floor of all packages: types, units, checks, estimates, results, files, figures. It imports nothing of the house."""
