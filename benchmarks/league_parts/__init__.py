"""Parts of `benchmarks/league.py`: what is measured, against whom, and how it is told."""
