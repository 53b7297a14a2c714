"""Scripts that make what the product ships trained."""
