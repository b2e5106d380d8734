"""Wrong implementations, each modelled on a documented bug, and a second correct one that they are made from."""

from fakes.base import Fake
from fakes.batches import BATCHERS
from fakes.cutting import CUTTERS
from fakes.lifecycles import LIFECYCLES
from fakes.own_batcher import OwnBatcher
from fakes.own_player import OwnLifecycle
from fakes.own_reader import OwnReader
from fakes.own_values import OwnValues
from fakes.own_writer import OwnWriter
from fakes.reading import READERS
from fakes.values import VALUES
from fakes.writing import WRITERS
from tunproof.subjects.subject import Subject

__all__ = ["FAKES", "OWN"]

FAKES: tuple[type[Fake], ...] = (*VALUES, *READERS, *CUTTERS, *WRITERS, *BATCHERS, *LIFECYCLES)
OWN: tuple[type[Subject], ...] = (OwnValues, OwnReader, OwnWriter, OwnBatcher, OwnLifecycle)
