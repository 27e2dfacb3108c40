"""The commands of the command line: one a file, each with an `add` that declares it and a function that runs it."""
