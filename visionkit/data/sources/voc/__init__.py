"""Pascal VOC: an XML file or masks per image."""
