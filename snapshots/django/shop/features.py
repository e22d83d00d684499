"""What the service does; the rest of the package is how."""

APPS: list[str] = ["shop.example"]
