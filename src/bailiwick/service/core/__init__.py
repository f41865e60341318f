"""The core of the service: a run is loaded, changed by one decision, and committed; and what all rooms above it share."""
