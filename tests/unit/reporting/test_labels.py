"""Names beside the points of a figure: legible, and plainly whose they are."""

import math

from leaq.reporting.labels import place_labels

UNIT = ((0, 1), (0, 1))


def box(point, place, size):
    """Left, top, right and bottom of a name in pixels, by the figures' own measure of a character."""
    align, dx, dy = place
    width = 6.3 * len(point["label"])
    left = point["x"] * size[0] + dx - {"left": 0, "center": width / 2, "right": width}[align]
    top = size[1] - point["y"] * size[1] + dy - 7
    return left, top, left + width, top + 14


def test_labels_cover_neither_points_nor_each_other(rng):
    points = [{"x": x, "y": y, "label": f"quantizer {i}"} for i, (x, y) in enumerate(rng.random((25, 2)))]
    named = place_labels(points, ((0, 1), (0, 1)), (500, 400))
    boxes = []
    for point, (align, dx, dy) in named:
        width = 6.3 * len(point["label"])
        left = point["x"] * 500 + dx - {"left": 0, "center": width / 2, "right": width}[align]
        top = 400 - point["y"] * 400 + dy - 7
        boxes.append((left, top, left + width, top + 14))
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        for point in points:
            x, y = point["x"] * 500, 400 - point["y"] * 400
            assert not (a[0] < x < a[2] and a[1] < y < a[3])


def test_crowded_points_are_left_to_hovering():
    crowd = [{"x": 0.5, "y": 0.5 + i / 1e4, "label": "a long name of a quantizer"} for i in range(40)]
    assert 0 < len(place_labels(crowd, ((0, 1), (0, 1)), (300, 300))) < 40


def test_a_name_is_nearest_to_its_own_point(rng):
    size = (500, 400)
    points = [{"x": x, "y": y, "label": f"q{i}", "i": i} for i, (x, y) in enumerate(rng.random((30, 2)))]
    named = place_labels(points, UNIT, size)
    assert len(named) > 15
    for point, place in named:
        left, top, right, bottom = box(point, place, size)
        gaps = [math.hypot(max(left - 500 * p["x"], 0, 500 * p["x"] - right),
                           max(top - 400 * (1 - p["y"]), 0, 400 * (1 - p["y"]) - bottom)) for p in points]  # fmt: skip
        assert gaps[point["i"]] == min(gaps)


def test_no_line_goes_through_a_name_where_another_place_is_free():
    points = [{"x": 0.2, "y": 0.5, "label": "two bits"}]
    ((_, beside),) = place_labels(points, UNIT, (500, 400))
    ((_, above),) = place_labels(points, UNIT, (500, 400), [(0.2, 0.5, 0.9, 0.5)])
    assert (beside[2], above[2]) == (0, 0)
    assert above[0] == "right", "to the side on which there is none"
    ((_, off),) = place_labels(points, UNIT, (500, 400), [(0.0, 0.5, 0.9, 0.5)])
    assert off[2] != 0
    everywhere = [(0.0, y / 400, 1.0, y / 400) for y in range(0, 400, 3)]
    assert len(place_labels(points, UNIT, (500, 400), everywhere)) == 1, "a name with a line is better than none"


def test_points_that_lie_on_each_other_share_a_name():
    points = [{"x": 0.5, "y": 0.5, "label": name} for name in ("full", "8-bit", "6-bit", "5-bit")]
    ((named, _),) = place_labels(points[:2], UNIT, (500, 400))
    assert named["label"] == "full, 8-bit"
    ((named, _),) = place_labels(points, UNIT, (500, 400))
    assert named["label"] == "full, 8-bit and 2 more"
    assert points[0]["label"] == "full", "what was given stays as it is"
