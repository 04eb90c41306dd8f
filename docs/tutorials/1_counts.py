"""
Test
====
"""

print(1)
