"""What proves how a published change came about: an in-toto statement, and its verification."""
