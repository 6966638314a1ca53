"""Files from outside: one door, through which no code comes in."""
