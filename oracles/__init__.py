"""Models that can only be asked: one module an oracle, each with one `connect(**options) -> Oracle`."""
