"""JCDecaux's own API (`/vls/v1`, `/vls/v3`) and what is known of its contracts."""
