"""Who may come in, and where: ports, connections, the guard and its token, and what is said to who may not."""
