"""Sentences as points: each backend turns texts into vectors of length 1, and `opened` opens one by its name."""
