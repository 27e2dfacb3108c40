"""Commands of the command line, one a file: `add` declares it, and a function runs it."""
