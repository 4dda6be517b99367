"""Values and vocabulary shared by every stage; imports nothing of ours and does no I/O."""
