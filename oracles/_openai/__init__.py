"""The parts of `oracles.openai`, one idea a file: models, tokens, prices, request, reply, failure, endpoint."""
