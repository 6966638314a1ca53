"""Files from outside: one reader, which runs none of the code in them."""
