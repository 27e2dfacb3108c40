"""Real servers on this machine that speak the protocols of remote oracles: to rehearse a run before it is paid for.

Each serves any oracle, fails as it is asked to, the same way each time, and keeps a bill of its own to hold against
the client's ledger.
"""
