"""All that touches the database; synchronous functions, called from threads."""
