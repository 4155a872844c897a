"""What is to be beaten: the simple methods that every model is measured against."""
