"""The five verbs: explain, compare, evaluate, probe and attack, and the core that they share.

Of each verb, `VERB/VERB.py` is the public call in both forms, `VERB/job.py` the request, its checks and the run,
and `VERB/result.py` the result. All go one way: a `Request` is checked, `prepared` makes a `Job` of it, `consent`
opens the ledger, and the job runs. `audit/` asks several of them of many photos, as one plan file says.
"""
