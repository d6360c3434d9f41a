"""HTTP mechanics: server configuration, middleware, ETags, strict parsing and latency metrics."""
