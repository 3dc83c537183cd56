"""Any async callable over rows, with a journal that lets a batch go on where it ended."""
