"""The service, without processes: everything that `workers` and the web server run."""
