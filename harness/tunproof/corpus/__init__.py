"""The golden corpus: its types (`model`), reading it (`load`), and making it (`build`, `authors`, `record`)."""
