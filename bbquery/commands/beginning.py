"""Answer of `bbquery` where nothing else is typed: the three commands that matter, and where to go on."""

from __future__ import annotations

from bbquery.jobs.probe.job import ProbeRequest
from bbquery.jobs.request import DEFAULT_ORACLE

EXAMPLES = ("bbquery explain sample:cat", "bbquery help attack")
BEGINNING = f"""bbquery explains and stress-tests image models that can only be asked.
Three commands to begin with:

  See what in a photo speaks for a model's answer. A model comes with bbquery,
  and is free:
    bbquery explain sample:cat

  Before you pay: find out in {ProbeRequest.DEFAULT_QUERIES} queries which method suits your model, and how
  many queries a map needs:
    bbquery probe sample:cat

  Look for the smallest change of a photo that changes the model's answer:
    bbquery attack sample:coffee --oracle {DEFAULT_ORACLE} --max-queries 500

A model of yours is asked with --oracle: see 'bbquery list oracles'. --dry-run
shows what a command would cost, and sends nothing.
All commands: bbquery --help. One of them: bbquery help explain."""
