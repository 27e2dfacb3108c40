"""What a person is handed: pictures of maps, and files that are either whole or absent."""
