"""To be written."""

from tunproof.corpus.authoring import Topic

TOPICS: tuple[Topic, ...] = ()
