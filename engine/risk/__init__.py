"""The risk chain: pure checks, cheap to dear, that stop at the first refusal."""
