"""The tools of `smart-filter mcp`: photos for assistants that speak the Model Context Protocol."""
