"""What attempts use: swept together for each driver, and kept for as long as there is room."""
