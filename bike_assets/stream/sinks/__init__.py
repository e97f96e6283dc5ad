"""Tables into external databases: a service each, so that one that is down stops only itself."""
