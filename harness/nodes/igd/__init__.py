"""A UPnP control point for routers that are not trusted, with the standard library alone.

``sockets`` says where sockets come from, ``discovery`` searches, ``client`` asks one URL, and
``control`` calls a router's actions. What the bytes mean is in :mod:`harness.protocol.igd`.
"""
