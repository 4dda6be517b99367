"""From an approved opportunity to exactly one outcome per nonce."""
