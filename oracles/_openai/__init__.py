"""The parts of `oracles.openai`, one idea a file: models, tokens, cost, request, reply, failure, endpoint, batches."""
