"""What checks write, read: one file for each tool. Pure: bytes in, diagnostics out."""
