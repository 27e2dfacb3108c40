"""Running statistics of a score and a perturbation; their size does not depend on the number of rows."""
