from pkg.shapes import Shape, total

größe: int = "groß — 大"
text = f"plain"


def broken(value: object) -> None:
    unused = value.größe
    if value == None:
        return 1


class Box(Shape):
    def area(self, width: str, height: int) -> int:
        return height
