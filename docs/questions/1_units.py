"""
Test
====
"""
print(1)
