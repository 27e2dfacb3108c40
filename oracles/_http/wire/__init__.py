"""The wire format that `oracles.http` and its emulator share, both ways; `oracles.http` documents it for people.

Pictures travel as PNG, numbers as JSON with the shortest digits that give the same float64 back, so a remote model's
answers are bit for bit those of the same model in this process. What is unpacked is checked; `fields.WireError`
says what the other side sent wrong.
"""

MODEL_PATH = "/v1/model"
ANSWER_PATH = "/v1/answer"
BILL_PATH = "/v1/bill"
