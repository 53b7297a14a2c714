"""Load for a VITAL server: patients who send, viewers who watch, each behind a link of its own. No Django."""
