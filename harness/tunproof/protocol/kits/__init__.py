"""Files to copy: an adapter to start from, one file per language. None of them imports anything from here."""
