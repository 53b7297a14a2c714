"""Real processes: Daphne, uvicorn, Valkey, devices and viewers, over real sockets."""
