"""What the site has beside the documents."""
