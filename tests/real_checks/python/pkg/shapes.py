"""Shapes, wrongly."""

import os, sys
import not_there_at_all
from typing import List, overload


class Shape:
    name: str

    def area(self, width: int, height: int) -> int:
        return str(width * height)


def total(shapes: List[Shape]):
    summed: int = "none"
    for shape in shapes:
        summed += shape.area(1)
    return summed


@overload
def pick(key: int) -> int: ...
@overload
def pick(key: str) -> str: ...
def pick(key):
    return key


pick(1.5)
Shape().area("src/never.py:1:1: F401 a string, not a fault", 2)
try:
    total([])
except:
    pass
