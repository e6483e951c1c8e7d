"""From recorded speech to published weights."""
