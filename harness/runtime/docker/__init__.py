"""The docker runtime: nodes are containers. The only code that knows the Docker engine."""
