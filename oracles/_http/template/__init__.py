"""Other people's HTTP servers as oracles: a template file says how they are asked and how their answers are read.

`docs/http.md` describes the file for people.
"""
