"""What others would do in VITAL's place: servers that pass each message of a device on to every viewer."""
