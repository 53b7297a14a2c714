"""The page in a real Chromium, against a real Daphne and real devices."""
