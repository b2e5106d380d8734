"""What tests in several folders share. Child processes import single modules of it, so this one imports nothing."""
