"""The tests mirror the code; servers.py starts the real thing, conftest.py hands it out."""
