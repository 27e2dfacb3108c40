"""How a score varies with a perturbation: running sums whose size does not depend on the rows."""
