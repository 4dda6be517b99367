"""The ledger database: what was found, why it was refused, what was executed, what it did to balances."""
