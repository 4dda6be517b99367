"""From a block's conditions to what is sent: the stages, what is chosen, how it is carried out."""
