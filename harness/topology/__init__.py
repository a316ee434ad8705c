"""Topologies as data: devices, sites, and the plan of nodes and links that they make."""
