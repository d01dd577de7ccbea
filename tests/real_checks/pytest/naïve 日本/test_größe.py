import unittest


class Größe(unittest.TestCase):
    def test_groß(self):
        self.assertEqual(["groß", "大"], ["klein", "小"])

    def test_fine(self):
        self.assertTrue(True)

    def test_parts(self):
        with self.subTest(part=1):
            self.assertEqual(1, 2)


class TestBox:
    def test_key(self):
        assert {"a": 1}["b"] == 1
