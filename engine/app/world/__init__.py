"""An embedded chain: a local node with real DEX bytecode, tokens, pools, price feeds and seeded traders."""
