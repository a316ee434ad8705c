"""What nodes are made of, and the only code that talks to the kernel about them."""
