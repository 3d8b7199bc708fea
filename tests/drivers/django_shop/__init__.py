"""A Django application over the sample shop's tables, for test_django.py. Imports no Django itself."""
