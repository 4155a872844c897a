"""Problems with a known law and a known span, drawn as often as one likes: what memory is measured with."""
