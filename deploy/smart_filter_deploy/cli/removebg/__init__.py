"""`smart-filter removebg`: check a server for programs written for remove.bg."""
