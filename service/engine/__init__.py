"""The engine: synchronous, one thread, the only writer.

Promises that `execute` is an ordinary function of commands, store, control and clock. Knows no protos, no SQL and no
event loop; what it needs of others stands in `ports`.
"""
