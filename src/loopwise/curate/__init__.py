"""Room 3: exchanges and attempts become examples, and examples a dataset."""
