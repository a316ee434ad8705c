"""The comparison of what the article says with what the packets did. No sockets, no clock."""
