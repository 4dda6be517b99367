"""Real blocks: load or fork their state, replay them up to an arbitrage, and act there with our own line."""
