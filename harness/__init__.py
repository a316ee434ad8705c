"""Runs the connection scenarios of Microsoft's KB301529 over real stacks and judges them."""

__version__ = "0.1.0"
