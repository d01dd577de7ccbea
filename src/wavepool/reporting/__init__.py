"""One run told to the end: a page in one file, Markdown, JSON, or JUnit's XML for CI systems."""
