"""Bots as pods of Kubernetes."""
