"""Parts of the attack league (`benchmarks/attack_league.py`)."""
