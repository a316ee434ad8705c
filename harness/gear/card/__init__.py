"""The router's card: checks beyond the article, each with its source, level and evidence."""
