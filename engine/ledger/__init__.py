"""What was intended, what became of it, and what that did to balances."""
