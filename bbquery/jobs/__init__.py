"""The five verbs: explain, compare, evaluate, probe and attack, and the core that they share."""
