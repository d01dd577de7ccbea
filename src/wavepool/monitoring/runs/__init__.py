"""One run as a document, and all runs as lines: journals are read on, folded, and told as patches."""
