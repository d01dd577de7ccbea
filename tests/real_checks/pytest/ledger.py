"""What the tests test."""


class Ledger:
    def __init__(self) -> None:
        self.lines: list[int] = []

    def add(self, amount: int) -> None:
        if amount < 0:
            raise ValueError(f"no such amount:\n{amount}")
        self.lines.append(amount)

    def total(self) -> int:
        return sum(self.lines) + 1
