"""Sentence embeddings: each backend turns texts into vectors of length 1; `opened` opens one by name."""
