"""The main job in parts: what is chosen, the asking, what is found, and what to be wary of in it."""
