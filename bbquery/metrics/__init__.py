"""How good a saliency map is: each metric a file, each a frozen configuration that states its fill and steps."""
