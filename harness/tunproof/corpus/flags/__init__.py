"""The flags: classes of bugs, each explained once. A case carries the flags of the bugs that it would catch.

Links lead to where the bug was found or mended in the open; a flag without one is a rule that nobody is known to have
broken yet.
"""

from tunproof.corpus.flags.batches import BATCHES
from tunproof.corpus.flags.frames import FRAMES
from tunproof.corpus.flags.lifecycles import LIFECYCLES
from tunproof.corpus.flags.packets import PACKETS
from tunproof.corpus.flags.superpackets import READING, WRITING
from tunproof.corpus.flags.values import VALUES

__all__ = ["FLAGS"]

FLAGS = VALUES | READING | WRITING | BATCHES | LIFECYCLES | FRAMES | PACKETS
