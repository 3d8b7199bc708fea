"""The shop's tables as they are; and one table that Django makes itself."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Customer(models.Model):
    tenant_id = models.IntegerField()
    external_id = models.UUIDField()
    name = models.TextField()
    email = models.TextField()
    ssn = models.CharField(max_length=11)
    phone = models.CharField(max_length=20, null=True)
    birth_date = models.DateField(null=True)
    balance = models.DecimalField(max_digits=12, decimal_places=2)
    preferences = models.JSONField()
    tags = ArrayField(models.TextField())
    signature = models.BinaryField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = 'shop"."customers'


class Order(models.Model):
    tenant_id = models.IntegerField()
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="orders")
    total = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    note = models.TextField(null=True)
    ordered_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = 'shop"."orders'


class Remark(models.Model):
    text = models.CharField(max_length=100, unique=True)
    stars = models.SmallIntegerField(default=0, db_index=True)
    details = models.JSONField(default=dict)
    written_at = models.DateTimeField(auto_now_add=True)
    answers_to = models.ForeignKey("self", models.CASCADE, null=True)
    readers = models.ManyToManyField("auth.User")

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(stars__lte=5), name="at_most_five")]
