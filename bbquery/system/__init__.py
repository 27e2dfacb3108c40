"""This process and this machine: clocks, folders, files that a person named, threads and forks."""
