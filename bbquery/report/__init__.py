"""Reports: records, pictures and pages; each file is written whole or not at all."""
