"""A constructed world to show and measure Sagsbro with: nobody in it exists."""
