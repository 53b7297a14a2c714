"""What happened: metrics snapshots, and the pages that show them."""
