"""Models behind HTTP: one attempt at a server, and what its refusals mean for the money."""
