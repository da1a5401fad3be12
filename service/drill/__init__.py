"""Drills: algorithm incidents rehearsed on a private copy, with the real engine, guards and playbooks.

Nothing here touches a live store; time is simulated, so a drill counts decisions and not seconds.
"""
