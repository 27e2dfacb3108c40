"""Pages that a person opens: one self-contained HTML file per run, and one on all photos of a run.

Each kind of page has a module, which makes a frozen context of a result, and a template of the same name, which shows
it. `base.html` holds what all share: style, script and macros. A page fetches nothing: its pictures are inside.
"""
