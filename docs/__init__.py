"""The documents, and in `site/` what builds the site of them."""
