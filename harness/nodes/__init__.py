"""The programs that run inside nodes.

They need the standard library, and Twisted for mail, nothing else of the harness but
:mod:`harness.protocol` and :mod:`harness.words`; they talk to the harness in JSON lines over their
standard streams, so that the same file runs in a namespace and in a container.
"""
