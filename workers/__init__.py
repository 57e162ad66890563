"""The processes: batch consumer, scheduler and the embedded server."""
