"""Redis: one class per noun, one script per change."""
