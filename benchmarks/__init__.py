"""What Hudhud can do on this machine, beside its goals: `make bench`."""
