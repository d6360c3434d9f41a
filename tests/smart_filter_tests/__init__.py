"""What tests build things with: real servers, jobs in any state, models that misbehave."""
