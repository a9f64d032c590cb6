"""Values and rules, without I/O, a clock or randomness of their own."""
