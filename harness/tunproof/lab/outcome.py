"""What the kernel did with a frame, by the names that the model of the kernel has for it."""

from tio.linux.outcome import Delivered, Lost, Outcome, Refused

__all__ = ["Delivered", "Lost", "Outcome", "Refused"]
