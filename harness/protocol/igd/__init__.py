"""What a UPnP Internet Gateway Device says and is told: no sockets, and a bound on everything.

A router under test is not trusted. Whatever reads its words here takes bytes and a limit, keeps no
more than the limit, and refuses the rest by an :class:`~harness.protocol.igd.errors.IgdError` of
one line. Nothing follows a name, an entity or a URL that leads to another host.

=============== ==================================================================================
``answer``      answers to an SSDP search
``url``         which URLs of a router may be asked
``reply``       HTTP/1.1 requests, and replies as they come in, piece by piece
``tree``        XML as a small tree
``description`` the device description, and a service's list of actions
``soap``        the envelopes of actions, their answers and their faults
=============== ==================================================================================
"""
