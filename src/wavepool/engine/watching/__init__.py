"""What is looked at while a run goes on: use against limits, pressure on the host, and what agents say."""
