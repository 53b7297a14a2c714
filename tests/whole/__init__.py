"""The whole server in one process and in virtual time: what happens is decided by a seed alone."""
