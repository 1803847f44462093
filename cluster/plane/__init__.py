"""How packets get from host to host: each backend of a cluster is a data plane.

plane      the Protocol that each of them is, and what it tells of what it did
planes     which one a cluster has
"""
