"""JCDecaux's own API (`/vls/v1`) and what is known of its contracts."""
