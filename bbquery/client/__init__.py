"""The client: queries from a plan to an oracle and back, paced, paid for, and never asked twice."""
