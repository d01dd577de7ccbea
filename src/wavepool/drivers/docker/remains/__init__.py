"""What is left of containers: listed, kept, looked into, removed."""
