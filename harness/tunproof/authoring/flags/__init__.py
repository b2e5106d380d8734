"""The flags: classes of bugs, each explained once. A case carries the flags of the bugs that it would catch.

Links lead to where the bug was publicly found or fixed; a flag without one is a rule that no implementation is known to
have broken yet.
"""

from tunproof.authoring.flags.batches import BATCHES
from tunproof.authoring.flags.frames import FRAMES
from tunproof.authoring.flags.lifecycles import LIFECYCLES
from tunproof.authoring.flags.packets import PACKETS
from tunproof.authoring.flags.superpackets import READING, WRITING
from tunproof.authoring.flags.values import VALUES

__all__ = ["FLAGS"]

FLAGS = VALUES | READING | WRITING | BATCHES | LIFECYCLES | FRAMES | PACKETS
