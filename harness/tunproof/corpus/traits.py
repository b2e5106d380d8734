"""The traits that a case may name: behaviours in which kernels differ. `tio.linux` explains, `probes` detects them.

Behaviour follows the point release, the distribution's backports and the vendor's patches, so a version number proves
nothing. No case names a regression: a kernel that refuses legal superpackets disagrees with the corpus, and should.
"""

from tio.linux import ABOUT
from tunproof.corpus.model import Trait

__all__ = ["TRAITS"]

TRAITS = {
    str(name): Trait(description=about.means, since=about.since, commit=about.commit)
    for name, about in ABOUT.items()
    if not about.regression and not about.unseen
}
"""Every trait that a case may name, explained. `since` is the mainline release; stable releases have some too."""
