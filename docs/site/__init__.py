"""Tools of the site: pages that the program fills, and outputs that its commands make anew."""
