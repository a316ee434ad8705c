"""A real router in a device's place: its wires, its addresses, and what else it does."""
