"""The model of a kernel as a device: kernels that are not at hand, and kernels that should not exist."""

from tio.linux import KernelOutcome, Model, Traits, Way

__all__ = ["ModelDevice"]


class ModelDevice:
    """A kernel with given traits, as `tio.linux` models it."""

    def __init__(self, traits: Traits) -> None:
        self.traits = traits
        self._models: dict[Way, Model] = {}

    def send(self, frame: bytes, way: Way) -> KernelOutcome:
        """Return the outcome of `frame` on `way`. Raises `NotModelled`."""
        if way not in self._models:
            self._models[way] = Model(self.traits, way)
        return self._models[way].predict(frame)
