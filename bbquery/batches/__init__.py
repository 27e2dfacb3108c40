"""Batch runs: a plan that does not adapt is answered into the store beforehand, at the price of a batch.

Theory of operation.

1. A batch run is a *prefetch of the answer store*. A plan that does not adapt asks the same whatever it is sent, so all
   its questions are found by sending it no answers. Those that are neither stored nor in flight are held in the ledger,
   written to files as the vendor's limits allow, submitted, waited for and collected; each answer, its cost and the
   release of its hold are one commit. Then the ordinary run replays, and finds everything in the store. It may not
   send: what no batch answered is missing from the result, and is never asked at full price unseen.
2. A question is held before its line is written, and a file is whole and synced before it is submitted. Every step is
   a state in the ledger (see `bbquery.ledger.batches`); a process that dies leaves its batches, and the next one of the
   same run goes on where it finds them. Whoever works on a run's batches holds a file lock.
3. A batch is called by a name of ours before it is submitted, and the vendor keeps that name. So a process that died
   while submitting, or heard no answer, is resumed by asking the vendor for the name, several times, as a vendor's list
   may lag; only if it is not there the file is submitted again.
4. What a vendor has not worked on (expired, cancelled) is void and goes into a further batch, a bounded number of
   times. Of what it does not speak at all nobody knows whether it was charged: its hold stays, as an unknown.
5. Images are rendered a few at a time and live on disk only, so memory does not grow with their number.
"""
