"""What people and programs are shown: tables, progress, JUnit XML and ``results.json``.

Each module stands alone, so that a command pays only for the one that it uses.
"""
