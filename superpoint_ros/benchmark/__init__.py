"""How fast it is: measured beside a plain implementation, in the same run."""
