"""What the model of devices and methods says will happen, computed without a packet.

A SYN is walked from the dialler to each address of the ticket, through the plan of the lab, device
by device; see :mod:`harness.prediction.walk`.
"""

from harness.prediction.predict import Prediction, Reach, predict
from harness.prediction.ticket import Candidate, Options, Ticket, ticket

__all__ = ["Candidate", "Options", "Prediction", "Reach", "Ticket", "predict", "ticket"]
