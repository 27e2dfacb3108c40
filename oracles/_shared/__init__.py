"""Parts that oracles of every kind share: options, secrets, prices, labels and numbers."""
