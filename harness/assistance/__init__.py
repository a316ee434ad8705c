"""Remote Assistance: the two people, and the three ways in which an invitation travels."""
