"""Files to copy: an adapter to begin with, one file a language. None of them imports anything from here."""
