"""Workers of the daily run and of the closing of a day, each a process of its own."""
