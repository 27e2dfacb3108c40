"""Parts of `oracles.google_vision` that need Google's library, which takes half a second to import.

library: Google's names, in one place. account: the credentials. connection: a channel and the client on it. failures:
what an error may have cost. answers: what a response says. service: the oracle itself. endpoint: where it is, and
features: what it can be asked, which need no library.
"""
