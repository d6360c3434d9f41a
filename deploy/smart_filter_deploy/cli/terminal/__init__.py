"""Terminal output, exit codes and signals of every command."""
