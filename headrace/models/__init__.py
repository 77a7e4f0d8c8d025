"""Models: columns to matrix, the catalogue of algorithms, fitted models and where they are kept."""
