"""What each guard between feedback and training is worth."""
