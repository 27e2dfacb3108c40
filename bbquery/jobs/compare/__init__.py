"""Several methods on one image, in one run: the same oracle, target, seed and answers, a budget for each."""
