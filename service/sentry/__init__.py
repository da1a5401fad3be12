"""The sentry: a process beside the engine that reads what was decided, and never stands in a decision's way.

It runs the guards, answers previews, tells the outside, and reports to the engine, which alone writes.
"""
