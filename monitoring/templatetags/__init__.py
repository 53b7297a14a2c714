"""What templates of several pages show of monitoring."""
