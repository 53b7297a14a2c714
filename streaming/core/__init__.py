"""Pure transport logic: no clock, no event loop, no Django."""
